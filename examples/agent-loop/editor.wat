;; An editor of `notes.txt` in its first directory: appends its argument as a line, or removes the file for `!`.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file"
    (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "notes.txt")

  (func (export "_start") (local $argument i32) (local $end i32)
    (drop (call $args (i32.const 64) (i32.const 1024)))
    (local.set $argument (i32.load (i32.const 68)))
    (if (i32.eq (i32.load8_u (local.get $argument)) (i32.const 0x21)) ;; !
      (then
        (if (call $unlink (i32.const 3) (i32.const 16) (i32.const 9)) (then unreachable))
        (return)))
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 9)
          (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 1) (i32.const 8))
      (then unreachable))
    (local.set $end (local.get $argument))
    (loop $next
      (if (i32.load8_u (local.get $end)) (then
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next))))
    (i32.store8 (local.get $end) (i32.const 10))
    (i32.store (i32.const 0) (local.get $argument))
    (i32.store (i32.const 4)
      (i32.add (i32.sub (local.get $end) (local.get $argument)) (i32.const 1)))
    (if (call $write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12))
      (then unreachable))))
