//! The numbers that functions have in a rewritten module.

use wasm_encoder::SectionId;
use wasmparser::{
    BinaryReader, BinaryReaderError, ElementItems, Operator, OperatorsReader, SectionLimited,
    TableInit,
};

use crate::Parts;

/// As many functions as engines take of a module, those that it imports included.
pub(crate) const MOST: usize = 1_000_000;

/// No fewer are added, but for what is beyond all that is usual.
const ADDED: usize = 1000;

/// How numbers change.
#[derive(Debug)]
pub(crate) struct Numbers {
    shift: u32,
    /// The guest's own functions that are left out, in order.
    dropped: Vec<u32>,
}

impl Numbers {
    /// Higher by `shift`. Where there would be too many functions in the end, those are left out that the guest has
    /// no way to call.
    pub(crate) fn new(parts: &Parts<'_>, shift: u32) -> Self {
        let all = parts.imports.len() + parts.functions.len() + shift as usize;
        let dropped = match all + ADDED > MOST {
            // What was validated can be read.
            true => unreferenced(parts).unwrap_or_default(),
            false => Vec::new(),
        };
        Numbers { shift, dropped }
    }

    /// Of a function of the guest's.
    pub(crate) fn of(&self, function: u32) -> u32 {
        let before = self.dropped.partition_point(|dropped| *dropped < function);
        function + self.shift - before as u32
    }

    /// How many of the guest's own functions there are, and those that come in front of all.
    pub(crate) fn count(&self, parts: &Parts<'_>) -> usize {
        self.shift as usize + parts.imports.len() + parts.functions.len() - self.dropped.len()
    }

    pub(crate) fn is_dropped(&self, function: u32) -> bool {
        self.dropped.binary_search(&function).is_ok()
    }
}

/// The guest's own functions that nothing in it names.
fn unreferenced(parts: &Parts<'_>) -> Result<Vec<u32>, BinaryReaderError> {
    let imports = parts.imports.len();
    let mut named = vec![false; imports + parts.functions.len()];
    let mut name = |function: u32| named[function as usize] = true;
    let exported = parts.exported_functions.iter();
    let exported = exported.map(|(_, function)| *function);
    exported.chain(parts.start).for_each(&mut name);
    let reader = |id| {
        let range = parts.range(id).unwrap_or_default();
        let contents = &parts.wasm[range.clone()];
        (!contents.is_empty()).then(|| BinaryReader::new(contents, range.start))
    };
    if let Some(reader) = reader(SectionId::Table) {
        for table in SectionLimited::<wasmparser::Table<'_>>::new(reader)? {
            if let TableInit::Expr(expression) = table?.init {
                name_all(expression.get_operators_reader(), &mut name)?;
            }
        }
    }
    if let Some(reader) = reader(SectionId::Global) {
        for global in SectionLimited::<wasmparser::Global<'_>>::new(reader)? {
            name_all(global?.init_expr.get_operators_reader(), &mut name)?;
        }
    }
    if let Some(reader) = reader(SectionId::Element) {
        for element in SectionLimited::<wasmparser::Element<'_>>::new(reader)? {
            match element?.items {
                ElementItems::Functions(functions) => {
                    for function in functions {
                        name(function?);
                    }
                }
                ElementItems::Expressions(_, expressions) => {
                    for expression in expressions {
                        name_all(expression?.get_operators_reader(), &mut name)?;
                    }
                }
            }
        }
    }
    for body in &parts.bodies {
        name_all(body.get_operators_reader()?, &mut name)?;
    }
    let functions = (0..).zip(named).skip(imports);
    Ok(functions
        .filter_map(|(function, named)| (!named).then_some(function))
        .collect())
}

fn name_all(
    operators: OperatorsReader<'_>,
    mut name: impl FnMut(u32),
) -> Result<(), BinaryReaderError> {
    for operator in operators {
        if let Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } = operator?
        {
            name(function_index);
        }
    }
    Ok(())
}
