;; Turns a line around.
(module
  (memory (export "memory") 1)
  (func (export "buffer") (result i32) (i32.const 1024))
  (func (export "apply") (param $length i32) (result i32)
    (local $from i32) (local $to i32) (local $byte i32)
    (local.set $to (i32.sub (local.get $length) (i32.const 1)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_s (local.get $from) (local.get $to)))
        (local.set $byte (i32.load8_u offset=1024 (local.get $from)))
        (i32.store8 offset=1024 (local.get $from) (i32.load8_u offset=1024 (local.get $to)))
        (i32.store8 offset=1024 (local.get $to) (local.get $byte))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (local.set $to (i32.sub (local.get $to) (i32.const 1)))
        (br $next)))
    (local.get $length)))
