//! The numbers that the items of a module have in the one that it becomes a part of.

use std::fmt;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{ConstExpr, Elements};
use wasmparser::{ElementItems, Table, TableInit};
use wasmrun_guest::Error;

use crate::constants::{Constant, Constants};
use crate::invalid;

/// The numbers of one instance's items, by those that its module knows them by. Imported items come first, as there.
#[derive(Default)]
pub(crate) struct Numbers {
    pub(crate) functions: Vec<u32>,
    pub(crate) tables: Vec<u32>,
    pub(crate) memories: Vec<u32>,
    pub(crate) tags: Vec<u32>,
    pub(crate) globals: Vec<u32>,
    pub(crate) types: Stretch,
    pub(crate) elements: Stretch,
    pub(crate) data: Stretch,
}

/// Items that nobody imports, and so have numbers that follow each other.
#[derive(Default, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Stretch {
    fn of(self, index: u32) -> Option<u32> {
        (index < self.count).then(|| self.first + index)
    }
}

/// Gives what is encoded anew the numbers of an instance.
pub(crate) struct Renumbered<'a> {
    pub(crate) numbers: &'a Numbers,
    pub(crate) constants: &'a Constants,
}

/// Something that a module names and does not have.
#[derive(Debug)]
pub(crate) struct Missing(&'static str, u32);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing(what, index) = self;
        write!(f, "there is no {what} {index}")
    }
}

pub(crate) type Result<T, E = reencode::Error<Missing>> = std::result::Result<T, E>;

/// The error of a module that is not what it was seen to be.
pub(crate) fn unreadable(error: reencode::Error<Missing>) -> Error {
    match error {
        reencode::Error::ParseError(source) => invalid(source),
        other => invalid(other),
    }
}

impl Renumbered<'_> {
    /// Whether a memory has the number that it has in the module.
    pub(crate) fn keeps_memory(&self, memory: u32) -> bool {
        self.numbers.memories.get(memory as usize) == Some(&memory)
    }

    /// The value of an expression, if that is known.
    pub(crate) fn constant(
        &mut self,
        expression: &wasmparser::ConstExpr<'_>,
    ) -> Result<Option<Constant>> {
        Constant::of(expression, self)
    }

    pub(crate) fn table_init(&mut self, table: &Table<'_>) -> Result<Option<ConstExpr>> {
        match &table.init {
            TableInit::RefNull => Ok(None),
            TableInit::Expr(expression) => self.const_expr(expression.clone()).map(Some),
        }
    }

    pub(crate) fn elements(&mut self, items: ElementItems<'_>) -> Result<Elements<'static>> {
        Ok(match items {
            ElementItems::Functions(functions) => {
                let functions = functions
                    .into_iter()
                    .map(|function| self.function_index(function?))
                    .collect::<Result<Vec<_>>>()?;
                Elements::Functions(functions.into())
            }
            ElementItems::Expressions(ty, expressions) => {
                let ty = self.ref_type(ty)?;
                let expressions = expressions
                    .into_iter()
                    .map(|expression| self.const_expr(expression?))
                    .collect::<Result<Vec<_>>>()?;
                Elements::Expressions(ty, expressions.into())
            }
        })
    }
}

fn looked_up(numbers: &[u32], what: &'static str, index: u32) -> Result<u32> {
    let number = numbers.get(index as usize).copied();
    number.ok_or(reencode::Error::UserError(Missing(what, index)))
}

fn counted(numbers: Stretch, what: &'static str, index: u32) -> Result<u32> {
    let number = numbers.of(index);
    number.ok_or(reencode::Error::UserError(Missing(what, index)))
}

impl Reencode for Renumbered<'_> {
    type Error = Missing;

    fn function_index(&mut self, index: u32) -> Result<u32> {
        looked_up(&self.numbers.functions, "function", index)
    }

    fn table_index(&mut self, index: u32) -> Result<u32> {
        looked_up(&self.numbers.tables, "table", index)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32> {
        looked_up(&self.numbers.memories, "memory", index)
    }

    fn tag_index(&mut self, index: u32) -> Result<u32> {
        looked_up(&self.numbers.tags, "tag", index)
    }

    fn global_index(&mut self, index: u32) -> Result<u32> {
        looked_up(&self.numbers.globals, "global", index)
    }

    fn type_index(&mut self, index: u32) -> Result<u32> {
        counted(self.numbers.types, "type", index)
    }

    fn element_index(&mut self, index: u32) -> Result<u32> {
        counted(self.numbers.elements, "segment of elements", index)
    }

    fn data_index(&mut self, index: u32) -> Result<u32> {
        counted(self.numbers.data, "segment of data", index)
    }

    /// Says the value, where it is known: what was imported may be read by a constant expression, what is the module's
    /// own may not, before garbage collection.
    fn const_expr(&mut self, expression: wasmparser::ConstExpr<'_>) -> Result<ConstExpr> {
        match self.constant(&expression)? {
            Some(constant) => Ok(constant.expression()),
            None => reencode::utils::const_expr(self, expression),
        }
    }
}
