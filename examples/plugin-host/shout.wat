;; Makes letters large.
(module
  (import "host" "log" (func $log (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "louder!")
  (func (export "buffer") (result i32) (i32.const 1024))
  (func (export "apply") (param $length i32) (result i32)
    (local $at i32) (local $byte i32)
    (call $log (i32.const 0) (i32.const 7))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $length)))
        (local.set $byte (i32.load8_u offset=1024 (local.get $at)))
        ;; a to z
        (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26))
          (then (i32.store8 offset=1024 (local.get $at) (i32.sub (local.get $byte) (i32.const 32)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $length)))
