;; Integers, floats, vectors, calls and memory, without anything of the host's.
(module
  (memory (export "memory") 1 10)
  (global $seed (mut i32) (i32.const 12345))
  (func $next (result i32)
    (global.set $seed
      (i32.add (i32.mul (global.get $seed) (i32.const 1103515245)) (i32.const 12345)))
    (global.get $seed))
  (func $fibonacci (param $n i32) (result i64)
    (if (result i64) (i32.lt_u (local.get $n) (i32.const 2))
      (then (i64.extend_i32_u (local.get $n)))
      (else
        (i64.add
          (call $fibonacci (i32.sub (local.get $n) (i32.const 1)))
          (call $fibonacci (i32.sub (local.get $n) (i32.const 2)))))))
  (func $sum (param $x f64) (result f64) (local $i i32)
    (loop $more
      (local.set $x (f64.sqrt (f64.add (local.get $x) (f64.convert_i32_s (local.get $i)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_s (local.get $i) (i32.const 1000))))
    (local.get $x))
  (func (export "_start") (local $at i32)
    (loop $fill
      (i32.store (local.get $at) (call $next))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $fill (i32.lt_u (local.get $at) (i32.const 4096))))
    (v128.store (i32.const 0)
      (i32x4.mul (v128.load (i32.const 16)) (v128.load (i32.const 32))))
    (drop (memory.grow (i32.const 1)))
    (memory.copy (i32.const 8192) (i32.const 0) (i32.const 4096))
    (if (i64.ne (call $fibonacci (i32.const 15)) (i64.const 610)) (then (unreachable)))
    (f64.store (i32.const 8) (call $sum (f64.const 2)))))
