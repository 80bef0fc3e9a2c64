;; What the small guests share: WASI, a memory, and writing and reading that either do all of it or
;; trap. A guest's own fields follow. Addresses below 1024 are the prelude's.

(import "wasi_snapshot_preview1" "args_sizes_get"
  (func $args_sizes_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_sizes_get"
  (func $environ_sizes_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "clock_time_get"
  (func $clock_time_get (param i32 i64 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_fdstat_get"
  (func $fd_fdstat_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_get"
  (func $fd_prestat_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_dir_name"
  (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_read"
  (func $fd_read (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_seek"
  (func $fd_seek (param i32 i64 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_tell" (func $fd_tell (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_write"
  (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_open"
  (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "poll_oneoff"
  (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
(import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))

;; Traps with `unreachable` unless a call returned success.
(func $check (param $errno i32)
  (if (local.get $errno) (then (unreachable))))

;; One fd_write of a whole buffer; the error number. What was written is at 8.
(func $try_write (param $fd i32) (param $at i32) (param $len i32) (result i32)
  (i32.store (i32.const 0) (local.get $at))
  (i32.store (i32.const 4) (local.get $len))
  (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))

;; Writes all of a buffer.
(func $write (param $fd i32) (param $at i32) (param $len i32)
  (loop $more
    (if (i32.eqz (local.get $len)) (then (return)))
    (call $check (call $try_write (local.get $fd) (local.get $at) (local.get $len)))
    (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
    (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 8))))
    (br $more)))

;; Writes to standard output.
(func $print (param $at i32) (param $len i32)
  (call $write (i32.const 1) (local.get $at) (local.get $len)))

;; Writes one byte to standard output.
(func $put (param $byte i32)
  (i32.store8 (i32.const 16) (local.get $byte))
  (call $print (i32.const 16) (i32.const 1)))

;; Reads once; how many bytes came.
(func $read (param $fd i32) (param $at i32) (param $len i32) (result i32)
  (i32.store (i32.const 0) (local.get $at))
  (i32.store (i32.const 4) (local.get $len))
  (call $check (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
  (i32.load (i32.const 8)))

;; Sleeps for some nanoseconds on the monotonic clock.
(func $sleep (param $time i64)
  (memory.fill (i32.const 64) (i32.const 0) (i32.const 128))
  (i32.store (i32.const 80) (i32.const 1))
  (i64.store (i32.const 88) (local.get $time))
  (call $check (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8))))
