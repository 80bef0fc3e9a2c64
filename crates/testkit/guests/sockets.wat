;; What guests with sockets share, for wit-component to make a component of with sockets.wit. Each function does one thing
;; with the network and tells what came of it by a byte on standard output: 0, or the number of the error code and one.
;; A guest's own `run` follows, which calls them.
;;
;; A socket address is 12 numbers, as it is in a call: whether it is IPv6, the port, and then of IPv4 four bytes and six
;; times nothing, of IPv6 the flow, eight words and the scope.
;;
;; Below 1024 are results of calls and what is sent; what is handed to the guest begins at a page.

(import "wasi:cli/stdout@0.2.0" "get-stdout" (func $get_stdout (result i32)))
(import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
  (func $write (param i32 i32 i32 i32)))
(import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read"
  (func $read (param i32 i64 i32)))
(import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop_output (param i32)))
(import "wasi:io/streams@0.2.0" "[resource-drop]input-stream" (func $drop_input (param i32)))
(import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
(import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop_pollable (param i32)))
(import "wasi:sockets/instance-network@0.2.0" "instance-network" (func $network (result i32)))
(import "wasi:sockets/ip-name-lookup@0.2.0" "resolve-addresses"
  (func $resolve (param i32 i32 i32 i32)))
(import "wasi:sockets/ip-name-lookup@0.2.0"
  "[method]resolve-address-stream.resolve-next-address" (func $next (param i32 i32)))
(import "wasi:sockets/ip-name-lookup@0.2.0" "[method]resolve-address-stream.subscribe"
  (func $subscribe_look_up (param i32) (result i32)))
(import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket"
  (func $create_tcp (param i32 i32)))
(import "wasi:sockets/tcp@0.2.0" "[resource-drop]tcp-socket" (func $drop_tcp (param i32)))
(import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.subscribe"
  (func $subscribe_tcp (param i32) (result i32)))
(import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.start-connect" (func $start_connect
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.finish-connect"
  (func $finish_connect (param i32 i32)))
(import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.start-bind" (func $start_bind_tcp
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.finish-bind"
  (func $finish_bind_tcp (param i32 i32)))
(import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.start-listen"
  (func $start_listen (param i32 i32)))
(import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.finish-listen"
  (func $finish_listen (param i32 i32)))
(import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.accept" (func $accept (param i32 i32)))
(import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.local-address"
  (func $local_address_tcp (param i32 i32)))
(import "wasi:sockets/udp-create-socket@0.2.0" "create-udp-socket"
  (func $create_udp (param i32 i32)))
(import "wasi:sockets/udp@0.2.0" "[method]udp-socket.start-bind" (func $start_bind_udp
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "wasi:sockets/udp@0.2.0" "[method]udp-socket.finish-bind"
  (func $finish_bind_udp (param i32 i32)))
(import "wasi:sockets/udp@0.2.0" "[method]udp-socket.stream" (func $stream
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "wasi:sockets/udp@0.2.0" "[method]udp-socket.local-address"
  (func $local_address_udp (param i32 i32)))
(import "wasi:sockets/udp@0.2.0" "[method]incoming-datagram-stream.receive"
  (func $receive (param i32 i64 i32)))
(import "wasi:sockets/udp@0.2.0" "[method]incoming-datagram-stream.subscribe"
  (func $subscribe_incoming (param i32) (result i32)))
(import "wasi:sockets/udp@0.2.0" "[method]outgoing-datagram-stream.check-send"
  (func $check_send (param i32 i32)))
(import "wasi:sockets/udp@0.2.0" "[method]outgoing-datagram-stream.send"
  (func $send (param i32 i32 i32 i32)))
(import "wasi:sockets/udp@0.2.0" "[method]outgoing-datagram-stream.subscribe"
  (func $subscribe_outgoing (param i32) (result i32)))

(memory (export "memory") 4)
(global $free (mut i32) (i32.const 65536))

;; Nothing is ever given back.
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
  (local.set $at (i32.and
    (i32.add (global.get $free) (i32.sub (local.get 2) (i32.const 1)))
    (i32.sub (i32.const 0) (local.get 2))))
  (global.set $free (i32.add (local.get $at) (local.get 3)))
  (local.get $at))

(func $print (param $at i32) (param $length i32) (local $stdout i32)
  (local.set $stdout (call $get_stdout))
  (call $write (local.get $stdout) (local.get $at) (local.get $length) (i32.const 0))
  (call $drop_output (local.get $stdout)))

(func $tell (param $what i32)
  (i32.store8 (i32.const 8) (local.get $what))
  (call $print (i32.const 8) (i32.const 1)))

;; What a result at 16 says whose error code is that far behind it.
(func $outcome (param $code i32) (result i32)
  (if (result i32) (i32.load8_u (i32.const 16))
    (then (i32.add (i32.load8_u (i32.add (i32.const 16) (local.get $code))) (i32.const 1)))
    (else (i32.const 0))))

(func $wait (param $pollable i32)
  (call $block (local.get $pollable))
  (call $drop_pollable (local.get $pollable)))

;; Sends `ping` over a connection, reads what comes back, and closes it.
(func $talk (param $input i32) (param $output i32)
  (i32.store (i32.const 512) (i32.const 0x676e6970))
  (call $write (local.get $output) (i32.const 512) (i32.const 4) (i32.const 0))
  (call $read (local.get $input) (i64.const 64) (i32.const 16))
  (call $drop_input (local.get $input))
  (call $drop_output (local.get $output)))

(func $connect
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (local $socket i32) (local $told i32)
  (call $create_tcp (local.get 0) (i32.const 16))
  (if (local.tee $told (call $outcome (i32.const 4))) (then (call $tell (local.get $told)) return))
  (local.set $socket (i32.load (i32.const 20)))
  (call $start_connect (local.get $socket) (call $network)
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11)
    (i32.const 16))
  (local.set $told (call $outcome (i32.const 1)))
  (if (i32.eqz (local.get $told)) (then
    (call $wait (call $subscribe_tcp (local.get $socket)))
    (call $finish_connect (local.get $socket) (i32.const 16))
    (local.set $told (call $outcome (i32.const 4)))
    (if (i32.eqz (local.get $told)) (then
      (call $talk (i32.load (i32.const 20)) (i32.load (i32.const 24)))))))
  (call $drop_tcp (local.get $socket))
  (call $tell (local.get $told)))

;; Looks a name up, and tells what came of that. An address of IPv4 is left at 768, if there is one, and 1 at 772.
(func $look_up (param $name i32) (param $length i32) (local $stream i32) (local $told i32)
  (i32.store (i32.const 772) (i32.const 0))
  (call $resolve (call $network) (local.get $name) (local.get $length) (i32.const 16))
  (if (local.tee $told (call $outcome (i32.const 4))) (then (call $tell (local.get $told)) return))
  (local.set $stream (i32.load (i32.const 20)))
  (call $wait (call $subscribe_look_up (local.get $stream)))
  (loop $each
    (call $next (local.get $stream) (i32.const 16))
    (if (local.tee $told (call $outcome (i32.const 2))) (then (call $tell (local.get $told)) return))
    (if (i32.load8_u (i32.const 18)) (then
      (if (i32.eqz (i32.load8_u (i32.const 20))) (then
        (i32.store (i32.const 768) (i32.load (i32.const 22)))
        (i32.store (i32.const 772) (i32.const 1))))
      (br $each))))
  (call $tell (i32.const 0)))

;; Connects to the address that was looked up.
(func $connect_to_found (param $port i32)
  (if (i32.eqz (i32.load (i32.const 772))) (then (call $tell (i32.const 255)) return))
  (call $connect (i32.const 0) (local.get $port)
    (i32.load8_u (i32.const 768)) (i32.load8_u (i32.const 769))
    (i32.load8_u (i32.const 770)) (i32.load8_u (i32.const 771))
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))

;; Listens, tells so and the port that it has, in two bytes, and talks to the first who connects.
(func $listen
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (local $socket i32) (local $told i32)
  (call $create_tcp (local.get 0) (i32.const 16))
  (local.set $socket (i32.load (i32.const 20)))
  (call $start_bind_tcp (local.get $socket) (call $network)
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11)
    (i32.const 16))
  (if (local.tee $told (call $outcome (i32.const 1))) (then (call $tell (local.get $told)) return))
  (call $finish_bind_tcp (local.get $socket) (i32.const 16))
  (call $start_listen (local.get $socket) (i32.const 16))
  (if (local.tee $told (call $outcome (i32.const 1))) (then (call $tell (local.get $told)) return))
  (call $finish_listen (local.get $socket) (i32.const 16))
  (call $local_address_tcp (local.get $socket) (i32.const 16))
  (i32.store16 (i32.const 9) (i32.load16_u (i32.const 24)))
  (i32.store8 (i32.const 8) (i32.const 0))
  (call $print (i32.const 8) (i32.const 3))
  (call $wait (call $subscribe_tcp (local.get $socket)))
  (call $accept (local.get $socket) (i32.const 16))
  (local.set $told (call $outcome (i32.const 4)))
  (if (i32.eqz (local.get $told)) (then
    (call $talk (i32.load (i32.const 24)) (i32.load (i32.const 28)))))
  (call $tell (local.get $told)))

;; A socket for datagrams, bound to the address. Tells if that failed, and returns -1.
(func $bind_udp (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (local $socket i32) (local $told i32)
  (call $create_udp (local.get 0) (i32.const 16))
  (local.set $socket (i32.load (i32.const 20)))
  (call $start_bind_udp (local.get $socket) (call $network)
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11)
    (i32.const 16))
  (local.set $told (call $outcome (i32.const 1)))
  (if (local.get $told) (then (call $tell (local.get $told)) (return (i32.const -1))))
  (call $finish_bind_udp (local.get $socket) (i32.const 16))
  (local.get $socket))

;; Puts a socket address where a record has one.
(func $put_address (param $at i32)
  (param $is_6 i32) (param $port i32)
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
  (i32.store8 (local.get $at) (local.get $is_6))
  (i32.store16 offset=4 (local.get $at) (local.get $port))
  (if (local.get $is_6)
    (then
      (i32.store offset=8 (local.get $at) (local.get 3))
      (i32.store16 offset=12 (local.get $at) (local.get 4))
      (i32.store16 offset=14 (local.get $at) (local.get 5))
      (i32.store16 offset=16 (local.get $at) (local.get 6))
      (i32.store16 offset=18 (local.get $at) (local.get 7))
      (i32.store16 offset=20 (local.get $at) (local.get 8))
      (i32.store16 offset=22 (local.get $at) (local.get 9))
      (i32.store16 offset=24 (local.get $at) (local.get 10))
      (i32.store16 offset=26 (local.get $at) (local.get 11))
      (i32.store offset=28 (local.get $at) (local.get 12)))
    (else
      (i32.store8 offset=6 (local.get $at) (local.get 3))
      (i32.store8 offset=7 (local.get $at) (local.get 4))
      (i32.store8 offset=8 (local.get $at) (local.get 5))
      (i32.store8 offset=9 (local.get $at) (local.get 6)))))

;; Receives a datagram that is not left out. Returns 0, and leaves where it is at 20; or what a result says.
(func $receive_one (param $incoming i32) (result i32) (local $told i32)
  (loop $again
    (call $wait (call $subscribe_incoming (local.get $incoming)))
    (call $receive (local.get $incoming) (i64.const 1) (i32.const 16))
    (if (local.tee $told (call $outcome (i32.const 4))) (then (return (local.get $told))))
    (br_if $again (i32.eqz (i32.load (i32.const 24)))))
  (i32.const 0))

;; Sends the datagram at 520.
(func $send_one (param $outgoing i32) (result i32)
  (call $wait (call $subscribe_outgoing (local.get $outgoing)))
  (call $check_send (local.get $outgoing) (i32.const 16))
  (call $send (local.get $outgoing) (i32.const 520) (i32.const 1) (i32.const 16))
  (call $outcome (i32.const 8)))

;; Sends `ping` in a datagram to an address from a socket that is bound to none of its own, and receives what comes back.
;; The socket is connected, if that is asked.
(func $exchange (param $connected i32)
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
  (local $socket i32) (local $told i32) (local $incoming i32) (local $outgoing i32)
  (local.set $socket (call $bind_udp (local.get 1) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
  (if (i32.eq (local.get $socket) (i32.const -1)) (then return))
  (call $stream (local.get $socket) (local.get $connected)
    (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
    (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12)
    (i32.const 16))
  (if (local.tee $told (call $outcome (i32.const 4))) (then (call $tell (local.get $told)) return))
  (local.set $incoming (i32.load (i32.const 20)))
  (local.set $outgoing (i32.load (i32.const 24)))
  (i32.store (i32.const 512) (i32.const 0x676e6970))
  (i32.store (i32.const 520) (i32.const 512))
  (i32.store (i32.const 524) (i32.const 4))
  (i32.store (i32.const 528) (i32.eqz (local.get $connected)))
  (call $put_address (i32.const 532)
    (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
    (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11) (local.get 12))
  (local.set $told (call $send_one (local.get $outgoing)))
  (if (i32.eqz (local.get $told))
    (then (local.set $told (call $receive_one (local.get $incoming)))))
  (call $tell (local.get $told)))

;; Binds a socket for datagrams to the address, and tells so and the port that it has, in two bytes. Leaves what datagrams
;; come by at 500 and what they go by at 504. Returns 0 if it told of an error.
(func $open_to_datagrams
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (local $socket i32)
  (local.set $socket (call $bind_udp
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11)))
  (if (i32.eq (local.get $socket) (i32.const -1)) (then (return (i32.const 0))))
  (call $stream (local.get $socket) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 16))
  (i64.store (i32.const 500) (i64.load (i32.const 20)))
  (call $local_address_udp (local.get $socket) (i32.const 16))
  (i32.store16 (i32.const 9) (i32.load16_u (i32.const 24)))
  (i32.store8 (i32.const 8) (i32.const 0))
  (call $print (i32.const 8) (i32.const 3))
  (i32.const 1))

;; Receives a datagram at a socket that is bound to the address.
(func $await_datagram (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
  (if (call $open_to_datagrams
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11))
    (then (call $tell (call $receive_one (i32.load (i32.const 500)))))))

;; Receives two, and sends each back.
(func $answer_two (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (local $left i32)
  (local.set $left (i32.shl (call $open_to_datagrams
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10) (local.get 11))
    (i32.const 1)))
  (loop $next
    (if (local.get $left) (then
      (call $tell (call $answer_one))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br $next)))))

(func $answer_one (result i32) (local $told i32) (local $datagram i32)
  (if (local.tee $told (call $receive_one (i32.load (i32.const 500))))
    (then (return (local.get $told))))
  (local.set $datagram (i32.load (i32.const 20)))
  (i64.store (i32.const 520) (i64.load (local.get $datagram)))
  (i32.store (i32.const 528) (i32.const 1))
  (memory.copy (i32.const 532) (i32.add (local.get $datagram) (i32.const 8)) (i32.const 32))
  (call $send_one (i32.load (i32.const 504))))
