;; Calls through tables, references, bulk operations, a start section, several values at once.
(module
  (type $unary (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (table $functions 4 20 funcref)
  (table $references 3 externref)
  (elem (table $functions) (i32.const 1) func $double $square)
  (elem $passive func $double $square $double)
  (data $bytes "some bytes")
  (global $started (mut i32) (i32.const 0))
  (func $double (param i32) (result i32) (i32.shl (local.get 0) (i32.const 1)))
  (func $square (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
  (func $both (param i32) (result i32 i32)
    (call_indirect $functions (type $unary) (local.get 0) (i32.const 1))
    (call_indirect $functions (type $unary) (local.get 0) (i32.const 2)))
  (func $begin (global.set $started (i32.const 1)))
  (start $begin)
  (func (export "_start")
    (if (i32.ne (i32.sub (call $both (i32.const 5))) (i32.const -15)) (then (unreachable)))
    (table.init $functions $passive (i32.const 0) (i32.const 0) (i32.const 3))
    (drop (table.grow $functions (ref.null func) (i32.const 5)))
    (table.set $references (i32.const 2) (table.get $references (i32.const 1)))
    (memory.init $bytes (i32.const 100) (i32.const 0) (i32.const 10))
    (block $out
      (block $two
        (block $one
          (br_table $one $two $out (global.get $started)))
        (unreachable)))))
