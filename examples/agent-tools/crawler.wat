;; Fetches a page again and again and writes what it gets; told that there is no more, it says so and tries on.
(module
  (import "tools" "fetch" (func $fetch (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "example.com")
  (data (i32.const 96) "no more\n")
  (func $print (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start") (local $length i32)
    (loop $next
      (local.set $length
        (call $fetch (i32.const 64) (i32.const 11) (i32.const 1024) (i32.const 1000)))
      (if (i32.lt_s (local.get $length) (i32.const 0))
        (then
          (call $print (i32.const 96) (i32.const 8))
          (loop $on (drop (call $yield)) (br $on))))
      (i32.store8 offset=1024 (local.get $length) (i32.const 10))
      (call $print (i32.const 1024) (i32.add (local.get $length) (i32.const 1)))
      (br $next))))
