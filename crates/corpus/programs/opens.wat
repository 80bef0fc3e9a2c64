;; Makes a directory and a file in the first directory it has, writes to it, reads it back.
(module
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $mkdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir"
    (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\40\00\00\00\08\00\00\00")
  (data (i32.const 64) "dir/file")
  (func (export "_start") (local $fd i32)
    (drop (call $mkdir (i32.const 3) (i32.const 64) (i32.const 3)))
    (drop (call $open (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 8) (i32.const 1)
      (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 0)))
    (local.set $fd (i32.load (i32.const 0)))
    (drop (call $write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 8)))
    (drop (call $seek (local.get $fd) (i64.const 0) (i32.const 0) (i32.const 24)))
    (drop (call $read (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 8)))
    (drop (call $readdir (i32.const 3) (i32.const 1024) (i32.const 512) (i64.const 0)
      (i32.const 8)))
    (drop (call $close (local.get $fd)))))
