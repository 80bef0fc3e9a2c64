//! Who calls a function of the host, where that is not plain from the function.

/// The component in a component that calls a function of the host, as far as the function has to know.
///
/// Behind the name of an import it is written as `|1`, as `|1|memory-2` if the function works on another memory than the
/// one exported as `memory`, and as `|0|memory|utf16` if its strings are in another encoding; what is as usual at the end is
/// left out. No name has a `|` in it otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller {
    /// The component, counted from 0 among those that have handles. Each has handles of its own. It is 0 for a function
    /// that is passed none.
    pub component: u32,
    /// The memory that the function works on: 0 for the one that is exported as `memory`, and n for `memory-n`.
    pub memory: u32,
    /// The encoding of the function's strings; UTF-8 for one that is passed none.
    pub encoding: Encoding,
}

/// The encoding of the strings that a component passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16.
    Utf16,
    /// Latin-1 where that will do, and otherwise UTF-16, which is told by the uppermost bit of the length.
    Latin1OrUtf16,
}

impl Encoding {
    const ALL: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Latin1OrUtf16];

    fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf8",
            Encoding::Utf16 => "utf16",
            Encoding::Latin1OrUtf16 => "latin1+utf16",
        }
    }
}

impl Caller {
    /// The name of a function as this one imports it.
    pub(crate) fn importing(self, name: &str) -> String {
        let component = self.component.to_string();
        let memory = self.memory_export();
        let said = [&*component, &*memory, self.encoding.name()];
        let usual = ["0", "memory", Encoding::Utf8.name()];
        let count = said
            .iter()
            .zip(usual)
            .rposition(|(said, usual)| *said != usual);
        let mut imported = name.to_owned();
        for said in said.iter().take(count.map_or(0, |last| last + 1)) {
            imported.push('|');
            imported.push_str(said);
        }
        imported
    }

    /// The export that is the memory which the function works on.
    pub fn memory_export(self) -> String {
        memory_export(self.memory)
    }

    /// The name of a function, and who calls it, of the name that it is imported by. `None` if that says neither.
    ///
    /// ```
    /// use wasmrun_flatten::{Caller, Encoding};
    ///
    /// assert_eq!(Caller::of("write"), Some(("write", Caller::default())));
    /// let (name, caller) = Caller::of("write|1|memory-2").unwrap();
    /// assert_eq!((name, caller.component, caller.memory), ("write", 1, 2));
    /// let (_, caller) = Caller::of("open|0|memory|utf16").unwrap();
    /// assert_eq!((caller.memory, caller.encoding), (0, Encoding::Utf16));
    /// assert_eq!(Caller::of("write|1|memories"), None);
    /// ```
    pub fn of(name: &str) -> Option<(&str, Caller)> {
        let mut parts = name.split('|');
        let name = parts.next()?;
        let mut caller = Caller::default();
        if let Some(component) = parts.next() {
            caller.component = component.parse().ok()?;
        }
        if let Some(memory) = parts.next()
            && memory != memory_export(0)
        {
            caller.memory = memory.strip_prefix("memory-")?.parse().ok()?;
        }
        if let Some(encoding) = parts.next() {
            let mut all = Encoding::ALL.into_iter();
            caller.encoding = all.find(|known| known.name() == encoding)?;
        }
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
