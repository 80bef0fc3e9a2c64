//! The components of a guest, as they are read: what each says of modules, components, instances and types.

use wasmparser::{
    ComponentAlias, ComponentAliasSectionReader, ComponentCanonicalSectionReader,
    ComponentExportSectionReader, ComponentExternalKind, ComponentImportSectionReader,
    ComponentInstanceSectionReader, ComponentOuterAliasKind, ComponentTypeSectionReader,
    InstanceSectionReader,
};

/// A section, or what is of interest of it.
#[derive(Clone)]
pub(crate) enum Section<'a> {
    /// So many things that nothing else depends on.
    Items(u32),
    Component(usize),
    CoreInstances(InstanceSectionReader<'a>),
    Instances(ComponentInstanceSectionReader<'a>),
    Aliases(ComponentAliasSectionReader<'a>),
    Types(ComponentTypeSectionReader<'a>),
    Canonical(ComponentCanonicalSectionReader<'a>),
    Imports(ComponentImportSectionReader<'a>),
    Exports(ComponentExportSectionReader<'a>),
}

/// A component, as far as it is read for what it becomes.
#[derive(Default)]
pub(crate) struct Component<'a> {
    pub(crate) sections: Vec<Section<'a>>,
    /// The bytes of those sections.
    pub(crate) bytes: usize,
    /// What it, or a component in it, takes from those around it: so far out from where it is defined, and
    /// the index there.
    pub(crate) captures: Vec<(usize, ComponentExternalKind, u32)>,
}

/// All of a guest's components, in the order in which they begin.
#[derive(Default)]
pub(crate) struct Components<'a> {
    components: Vec<Component<'a>>,
    open: Vec<usize>,
}

impl<'a> Components<'a> {
    pub(crate) fn all(&self) -> &[Component<'a>] {
        &self.components
    }

    /// A component begins, in the one that is open.
    pub(crate) fn begin(&mut self) {
        let component = self.components.len();
        self.push(Section::Component(component), 0);
        self.components.push(Component::default());
        self.open.push(component);
    }

    /// The open one ends.
    pub(crate) fn end(&mut self) {
        self.open.pop();
    }

    /// The open one has this section next, in so many bytes.
    pub(crate) fn push(&mut self, section: Section<'a>, bytes: usize) {
        if let Some(open) = self.open.last() {
            let component = &mut self.components[*open];
            component.sections.push(section);
            component.bytes += bytes;
        }
    }

    /// The open one has this alias, in a section that is pushed.
    pub(crate) fn alias(&mut self, alias: &ComponentAlias<'_>) {
        let ComponentAlias::Outer { kind, count, index } = *alias else {
            return;
        };
        let kind = match kind {
            ComponentOuterAliasKind::Component => ComponentExternalKind::Component,
            ComponentOuterAliasKind::CoreModule => ComponentExternalKind::Module,
            ComponentOuterAliasKind::Type | ComponentOuterAliasKind::CoreType => return,
        };
        let within = (0..count as usize).zip(self.open.iter().rev());
        for (inner, component) in within {
            let out = count as usize - inner - 1;
            self.components[*component]
                .captures
                .push((out, kind, index));
        }
    }
}
