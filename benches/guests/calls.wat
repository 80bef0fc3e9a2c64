;; Calls into the host a thousand times: CALL is one of the functions.
(module
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pread"
    (func $fd_pread (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek"
    (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; I/O vectors of one byte, of a kibibyte and of 16 bytes.
  (data (i32.const 1024) "\00\08\00\00\01\00\00\00\00\08\00\00\00\04\00\00file")
  (data (i32.const 1048) "\00\08\00\00\10\00\00\00")
  (func $clock (result i32)
    (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 1104)))
  (func $write (result i32)
    (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1104)))
  (func $seek (result i32)
    (call $fd_seek (i32.load (i32.const 1108)) (i64.const 0) (i32.const 0) (i32.const 1112)))
  (func $read1024 (result i32)
    (call $fd_pread (i32.load (i32.const 1108)) (i32.const 1032) (i32.const 1) (i64.const 0)
      (i32.const 1104)))
  (func $read16 (result i32)
    (call $fd_pread (i32.load (i32.const 1108)) (i32.const 1048) (i32.const 1) (i64.const 0)
      (i32.const 1104)))
  (func (export "_start") (local $n i32)
    ;; It is only there where files are read.
    (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1040) (i32.const 4) (i32.const 0)
      (i64.const 6) (i64.const 6) (i32.const 0) (i32.const 1108)))
    (loop $more
      (if (call $CALL) (then unreachable))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $n) (i32.const 1000))))))
