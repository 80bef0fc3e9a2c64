//! What a flattened component asks for about handles, of its own resources and of those that its components pass to each
//! other.

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmtime::Result;

use super::call::put;
use super::handles::{Handles, Kind};
use super::lift::Slots;

/// What is done with a handle, or to have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    New,
    Rep,
    Drop,
    Take,
    Lend,
    Borrow,
}

impl Operation {
    const ALL: [(&'static str, Operation); 6] = [
        ("[resource-new]", Operation::New),
        ("[resource-rep]", Operation::Rep),
        ("[resource-drop]", Operation::Drop),
        ("[resource-take]", Operation::Take),
        ("[resource-lend]", Operation::Lend),
        ("[resource-borrow]", Operation::Borrow),
    ];

    /// What a function of that name does, and with handles of which resource.
    pub(crate) fn of(name: &str) -> Option<(Operation, &str)> {
        let of = |(prefix, operation)| Some((operation, name.strip_prefix(prefix)?));
        Operation::ALL.into_iter().find_map(of)
    }

    /// The type of the function. One that drops a handle of the host's has its destructor behind it, and is none of these.
    pub(crate) fn signature(self) -> FuncSignature {
        let result = match self {
            Operation::Drop => ValueType::I64,
            _ => ValueType::I32,
        };
        FuncSignature {
            params: vec![ValueType::I32],
            results: vec![result],
        }
    }

    /// Does it for a component: from a handle to what that stands for, or the other way.
    pub(crate) fn call(
        self,
        handles: &mut Handles,
        component: u32,
        kind: Kind,
        slots: &mut [u64],
    ) -> Result<()> {
        let given = Slots::new(slots).next_u32()?;
        let result = match self {
            Operation::New => handles.new_own(component, kind, given)?.into(),
            Operation::Rep => handles.entry(component, kind, given)?.into(),
            // What it owned, doubled, and 1 for that it did.
            Operation::Drop => match handles.drop(component, kind, given)? {
                Some(entry) => u64::from(entry) << 1 | 1,
                None => 0,
            },
            Operation::Take => handles.take(component, kind, given)?.into(),
            Operation::Lend => handles.lend_for_call(component, kind, given)?.into(),
            Operation::Borrow => handles.borrow(component, kind, given)?.into(),
        };
        put(slots, result);
        Ok(())
    }
}
