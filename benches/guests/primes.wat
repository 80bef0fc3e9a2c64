;; Counts the primes below two million with a sieve: bytes, branches, loops of many lengths.
(module
  (memory (export "memory") 32)
  (func (export "_start") (local $n i32) (local $multiple i32) (local $count i32)
    (local.set $n (i32.const 2))
    (loop $next
      (if (i32.eqz (i32.load8_u (local.get $n)))
        (then
          (local.set $count (i32.add (local.get $count) (i32.const 1)))
          (local.set $multiple (i32.add (local.get $n) (local.get $n)))
          (block $done
            (loop $cross
              (br_if $done (i32.ge_u (local.get $multiple) (i32.const 2000000)))
              (i32.store8 (local.get $multiple) (i32.const 1))
              (local.set $multiple (i32.add (local.get $multiple) (local.get $n)))
              (br $cross)))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 2000000))))
    (if (i32.ne (local.get $count) (i32.const 148933)) (then unreachable))))
