;; Grows its memory by 16 MiB, touches every page, and moves a megabyte about.
(module
  (memory (export "memory") 1)
  (func (export "_start") (local $at i32) (local $n i32)
    (if (i32.eq (memory.grow (i32.const 256)) (i32.const -1)) (then unreachable))
    (loop $touch
      (i32.store8 (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $touch (i32.lt_u (local.get $at) (i32.const 16777216))))
    (loop $move
      (memory.copy (i32.const 4194304) (i32.const 0) (i32.const 1048576))
      (memory.fill (i32.const 0) (local.get $n) (i32.const 1048576))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $move (i32.lt_u (local.get $n) (i32.const 16))))))
