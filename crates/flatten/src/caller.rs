//! Who calls a function of the host, where that is not plain from the function.

/// The component in a component that calls a function of the host, as far as the function has to know.
///
/// Behind the name of an import it is written as `|1`, or `|1|memory-2` if the function works on another memory than the
/// one exported as `memory`; the first component, on that memory, is not written. No name has a `|` in it otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller {
    /// The component, counted from 0 among those that have handles. Each has handles of its own. It is 0 for a function
    /// that is passed none.
    pub component: u32,
    /// The memory that the function works on: 0 for the one that is exported as `memory`, and n for `memory-n`.
    pub memory: u32,
}

impl Caller {
    /// The name of a function as this one imports it.
    pub(crate) fn importing(self, name: &str) -> String {
        match self {
            Caller {
                component: 0,
                memory: 0,
            } => name.to_owned(),
            Caller {
                component,
                memory: 0,
            } => format!("{name}|{component}"),
            Caller { component, memory } => {
                format!("{name}|{component}|{}", memory_export(memory))
            }
        }
    }

    /// The export that is the memory which the function works on.
    pub fn memory_export(self) -> String {
        memory_export(self.memory)
    }

    /// The name of a function, and who calls it, of the name that it is imported by. `None` if that says neither.
    ///
    /// ```
    /// use wasmrun_flatten::Caller;
    ///
    /// assert_eq!(Caller::of("write"), Some(("write", Caller::default())));
    /// let (name, caller) = Caller::of("write|1|memory-2").unwrap();
    /// assert_eq!((name, caller.component, caller.memory), ("write", 1, 2));
    /// assert_eq!(Caller::of("write|1|memory"), None);
    /// ```
    pub fn of(name: &str) -> Option<(&str, Caller)> {
        let mut parts = name.split('|');
        let name = parts.next()?;
        let component = parts.next().map_or(Some(0), |part| part.parse().ok())?;
        let memory = parts
            .next()
            .map_or(Some(0), |part| part.strip_prefix("memory-")?.parse().ok())?;
        let caller = Caller { component, memory };
        parts.next().is_none().then_some((name, caller))
    }
}

/// The name that a memory is exported by, of those that functions of the host work on.
pub(crate) fn memory_export(memory: u32) -> String {
    match memory {
        0 => "memory".to_owned(),
        memory => format!("memory-{memory}"),
    }
}
