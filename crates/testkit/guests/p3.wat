;; What guests of WASI 0.3 share, for wit-component to make a component of with p3.wit. A guest's own functions follow,
;; which call these; it is a command by what it exports of `wasi:cli/run`.
;;
;; Below 1024 are results of calls, from 1024 on what a guest has of its own, and behind 64 KiB what it is handed.

(import "wasi:cli/environment@0.3.0" "get-environment" (func $get_environment (param i32)))
(import "wasi:cli/environment@0.3.0" "get-arguments" (func $get_arguments (param i32)))
(import "wasi:cli/exit@0.3.0" "exit-with-code" (func $exit (param i32)))
(import "wasi:cli/stdin@0.3.0" "read-via-stream" (func $stdin (param i32)))
(import "wasi:cli/stdin@0.3.0" "[async-lower][stream-read-0]read-via-stream"
  (func $stdin_read (param i32 i32 i32) (result i32)))
(import "wasi:cli/stdout@0.3.0" "write-via-stream" (func $stdout (param i32) (result i32)))
(import "wasi:cli/stdout@0.3.0" "[stream-new-0]write-via-stream"
  (func $stdout_new (result i64)))
(import "wasi:cli/stdout@0.3.0" "[async-lower][stream-write-0]write-via-stream"
  (func $stdout_write (param i32 i32 i32) (result i32)))
(import "wasi:cli/stdout@0.3.0" "[stream-drop-writable-0]write-via-stream"
  (func $stdout_end (param i32)))
(import "wasi:cli/stdout@0.3.0" "[async-lower][future-read-1]write-via-stream"
  (func $stdout_told (param i32 i32) (result i32)))
(import "wasi:clocks/monotonic-clock@0.3.0" "now" (func $now (result i64)))
(import "wasi:clocks/monotonic-clock@0.3.0" "wait-for" (func $sleep (param i64)))
(import "wasi:clocks/monotonic-clock@0.3.0" "[async-lower]wait-for"
  (func $begin_sleep (param i64) (result i32)))
(import "wasi:filesystem/preopens@0.3.0" "get-directories" (func $get_directories (param i32)))
(import "wasi:filesystem/types@0.3.0" "[method]descriptor.open-at"
  (func $open_at (param i32 i32 i32 i32 i32 i32 i32)))
(import "wasi:filesystem/types@0.3.0" "[method]descriptor.read-via-stream"
  (func $file_read_stream (param i32 i64 i32)))
(import "wasi:filesystem/types@0.3.0" "[async-lower][stream-read-0][method]descriptor.read-via-stream"
  (func $file_read (param i32 i32 i32) (result i32)))
(import "wasi:filesystem/types@0.3.0" "[method]descriptor.write-via-stream"
  (func $file_write_stream (param i32 i32 i64) (result i32)))
(import "wasi:filesystem/types@0.3.0" "[async-lower][future-read-1][method]descriptor.write-via-stream"
  (func $file_told (param i32 i32) (result i32)))
(import "wasi:random/random@0.3.0" "get-random-u64" (func $random (result i64)))
(import "wasi:sockets/types@0.3.0" "[static]tcp-socket.create" (func $tcp_create (param i32 i32)))
(import "wasi:sockets/types@0.3.0" "[method]tcp-socket.connect" (func $tcp_connect
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "wasi:sockets/types@0.3.0" "[method]tcp-socket.send" (func $tcp_send (param i32 i32) (result i32)))
(import "wasi:sockets/types@0.3.0" "[method]tcp-socket.receive" (func $tcp_receive (param i32 i32)))
(import "$root" "[waitable-set-new]" (func $set_new (result i32)))
(import "$root" "[waitable-set-wait]" (func $set_wait (param i32 i32) (result i32)))
(import "$root" "[waitable-join]" (func $join (param i32 i32)))
(import "$root" "[thread-yield]" (func $yield (result i32)))
(import "[export]wasi:cli/run@0.3.0" "[task-return]run" (func $return (param i32)))

(memory (export "memory") 8)
(global $set (mut i32) (i32.const 0))
(global $free (mut i32) (i32.const 0x20000))
;; The stream to standard output, and the future that tells of it.
(global $out (mut i32) (i32.const 0))
(global $out_told (mut i32) (i32.const 0))

(func (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
  (global.set $free (i32.add (local.get $at) (local.get $new)))
  (local.get $at))

;; Waits until something has come of an operation on this, and tells what.
(func $waited (param $on i32) (result i32)
  (if (i32.eqz (global.get $set)) (then (global.set $set (call $set_new))))
  (call $join (local.get $on) (global.get $set))
  (drop (call $set_wait (global.get $set) (i32.const 0)))
  (call $join (local.get $on) (i32.const 0))
  (i32.load (i32.const 4)))

;; What came of an operation, at once or later.
(func $come (param $on i32) (param $now i32) (result i32)
  (if (i32.eq (local.get $now) (i32.const -1)) (then (return (call $waited (local.get $on)))))
  (local.get $now))

;; Writes bytes to standard output, as far as somebody takes them.
(func $print (param $at i32) (param $length i32)
  (local $ends i64) (local $come i32)
  (if (i32.eqz (global.get $out)) (then
    (local.set $ends (call $stdout_new))
    (global.set $out (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
    (global.set $out_told (call $stdout (i32.wrap_i64 (local.get $ends))))))
  (loop $more
    (if (i32.eqz (local.get $length)) (then (return)))
    (local.set $come (call $come (global.get $out)
      (call $stdout_write (global.get $out) (local.get $at) (local.get $length))))
    (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $come) (i32.const 4))))
    (local.set $length (i32.sub (local.get $length) (i32.shr_u (local.get $come) (i32.const 4))))
    ;; Until the other end is dropped.
    (br_if $more (i32.eqz (i32.and (local.get $come) (i32.const 15))))))

(func $put (param $byte i32)
  (i32.store8 (i32.const 512) (local.get $byte))
  (call $print (i32.const 512) (i32.const 1)))

(func $put_number (param $number i64)
  (if (i64.ge_u (local.get $number) (i64.const 10))
    (then (call $put_number (i64.div_u (local.get $number) (i64.const 10)))))
  (call $put (i32.add (i32.const 0x30)
    (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10))))))

;; Prints a list of strings, or of pairs of them, a full stop after each.
(func $print_all (param $list i32) (param $count i32)
  (loop $more
    (if (i32.eqz (local.get $count)) (then (return)))
    (call $print (i32.load (local.get $list)) (i32.load offset=4 (local.get $list)))
    (call $put (i32.const 0x2e))
    (local.set $list (i32.add (local.get $list) (i32.const 8)))
    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
    (br $more)))

;; Opens a file in the first directory that was given: where its name is, how, and for what. Not to be opened is to be told by
;; the number of the error, as is what else fails, and to return an error.
(func $open (param $at i32) (param $length i32) (param $how i32) (param $flags i32) (result i32)
  (call $get_directories (i32.const 16))
  (if (i32.eqz (i32.load (i32.const 20))) (then (call $put (i32.const 0x2d)) (return (i32.const -1))))
  (call $open_at (i32.load (i32.load (i32.const 16))) (i32.const 1)
    (local.get $at) (local.get $length) (local.get $how) (local.get $flags) (i32.const 32))
  (if (i32.load8_u (i32.const 32)) (then
    (call $put_number (i64.load8_u (i32.const 36)))
    (return (i32.const -1))))
  (i32.load (i32.const 36)))
