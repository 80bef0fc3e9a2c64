;; Writes its arguments and some random bytes to standard output.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "\00\10\00\00\00\01\00\00")
  (func $must (param $errno i32)
    (if (local.get $errno) (then (call $exit (local.get $errno)))))
  (func (export "_start") (local $left i32)
    (call $must (call $sizes (i32.const 0) (i32.const 4)))
    (call $must (call $args (i32.const 256) (i32.const 4096)))
    (local.set $left (i32.const 10))
    (loop $again
      (call $must (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))
      (call $must (call $random (i32.const 4096) (i32.const 256)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
