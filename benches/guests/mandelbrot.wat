;; How long the points of a grid stay near zero: floating point in registers.
(module
  (func (export "_start")
    (local $row i32) (local $column i32) (local $step i32) (local $inside i32)
    (local $a f64) (local $b f64) (local $x f64) (local $y f64) (local $x2 f64) (local $y2 f64)
    (loop $rows
      (local.set $b (f64.sub (f64.div (f64.convert_i32_u (local.get $row)) (f64.const 64)) (f64.const 1)))
      (local.set $column (i32.const 0))
      (loop $columns
        (local.set $a (f64.sub (f64.div (f64.convert_i32_u (local.get $column)) (f64.const 64)) (f64.const 1.5)))
        (local.set $x (f64.const 0))
        (local.set $y (f64.const 0))
        (local.set $step (i32.const 0))
        (block $escaped
          (loop $more
            (local.set $x2 (f64.mul (local.get $x) (local.get $x)))
            (local.set $y2 (f64.mul (local.get $y) (local.get $y)))
            (br_if $escaped (f64.gt (f64.add (local.get $x2) (local.get $y2)) (f64.const 4)))
            (local.set $y (f64.add (f64.mul (f64.const 2) (f64.mul (local.get $x) (local.get $y))) (local.get $b)))
            (local.set $x (f64.add (f64.sub (local.get $x2) (local.get $y2)) (local.get $a)))
            (local.set $step (i32.add (local.get $step) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $step) (i32.const 200))))
          (local.set $inside (i32.add (local.get $inside) (i32.const 1))))
        (local.set $column (i32.add (local.get $column) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $column) (i32.const 128))))
      (local.set $row (i32.add (local.get $row) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $row) (i32.const 128))))
    (if (i32.eqz (local.get $inside)) (then unreachable))))
