;; In the first directory it is given: copies the file `in` to its standard output and into the new
;; file `out`. Exits with the error of the first call that fails.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "in")
  (data (i32.const 72) "out")
  (func $check (param i32)
    (if (local.get 0) (then (call $exit (local.get 0)))))
  (func (export "_start")
    (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 2)
      (i32.const 0) (i64.const 0x2) (i64.const 0) (i32.const 0) (i32.const 16)))
    (i32.store (i32.const 0) (i32.const 4096))
    (i32.store (i32.const 4) (i32.const 1024))
    (call $check (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (call $check (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 72) (i32.const 3)
      (i32.const 1) (i64.const 0x40) (i64.const 0) (i32.const 0) (i32.const 16)))
    (call $check (call $write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))))
