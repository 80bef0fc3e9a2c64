//! The types that most functions have.

/// Binds a function whose [type](crate::guest::FuncSignature) is of up to three integers to nothing, `i32` or `i64`, with
/// the types of Rust, so that no engine need look at its values one by one. What comes of it in `Some`, or `None` for another
/// type.
///
/// `$bind` is a macro of the caller's, which is called with parameters and a result: `[a: i32, b: i64] i32`.
///
/// ```
/// use wasmrun_core::guest::{FuncSignature, ValueType};
/// use wasmrun_core::bind_small;
///
/// macro_rules! told {
///     ([$($param:ident: $type:ty),*] $result:ty) => {
///         std::any::type_name::<fn($($type),*) -> $result>()
///     };
/// }
/// let signature = FuncSignature {
///     params: vec![ValueType::I32, ValueType::I64],
///     results: vec![ValueType::I32],
/// };
/// assert_eq!(bind_small!(&signature, told), Some("fn(i32, i64) -> i32"));
/// ```
#[macro_export]
macro_rules! bind_small {
    ($signature:expr, $bind:ident) => {
        $crate::__bind_small! {
            $signature, $bind,
            []
            [a: i32] [a: i64]
            [a: i32, b: i32] [a: i32, b: i64] [a: i64, b: i32] [a: i64, b: i64]
            [a: i32, b: i32, c: i32] [a: i32, b: i32, c: i64]
            [a: i32, b: i64, c: i32] [a: i32, b: i64, c: i64]
            [a: i64, b: i32, c: i32] [a: i64, b: i32, c: i64]
            [a: i64, b: i64, c: i32] [a: i64, b: i64, c: i64]
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __bind_small {
    (@types [$($param:ident: $type:ty),*]) => {
        &[$(<$type as $crate::HostValue>::TYPE),*] as &[$crate::guest::ValueType]
    };
    ($signature:expr, $bind:ident, $($params:tt)*) => {'small: {
        use $crate::guest::ValueType::{I32, I64};
        let signature: &$crate::guest::FuncSignature = $signature;
        $(
            if signature.params == $crate::__bind_small!(@types $params) {
                break 'small match signature.results.as_slice() {
                    [] => Some($bind!($params ())),
                    [I32] => Some($bind!($params i32)),
                    [I64] => Some($bind!($params i64)),
                    _ => None,
                };
            }
        )*
        None
    }};
}
