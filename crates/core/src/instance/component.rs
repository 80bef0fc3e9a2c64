//! Calls of an instance of a component.

use std::collections::HashMap;

use super::{Called, Instance};
use crate::guest::{ComponentFunction, nearest, shown};
use crate::host::{compatible, signature};
use crate::{
    ComponentValue, Error, ErrorKind, Guest, GuestKind, InterfaceParams, InterfaceResult, Resource,
    Result,
};

/// The functions that were asked for, by the names that they were asked for by, with their numbers in this life's
/// instance.
pub(super) type Functions = HashMap<String, (ComponentFunction, usize)>;

/// The function that a component exports by that name: `ns:pkg/interface@1.0.0#function`, where the version may be a
/// compatible one, or `function` alone, of the component itself or of the one interface that has it.
///
/// # Errors
///
/// [`Config`](ErrorKind::Config) if there is none, or there are several: the message has the nearest name, or all.
pub fn component_function<'a>(guest: &'a Guest, name: &str) -> Result<&'a ComponentFunction> {
    if guest.kind() != GuestKind::Component {
        let name = shown(name);
        let message = format!("the guest is no component, and has no function {name} of one");
        return Err(Error::new(ErrorKind::Config, message));
    }
    let functions = guest.exported_functions();
    if let Some(function) = functions.iter().find(|function| function.is_called(name)) {
        return Ok(function);
    }
    let stands_for = |function: &ComponentFunction| match name.rsplit_once('#') {
        Some((interface, name)) => {
            let version = |interface| compatible(interface).map(|(version, _)| version);
            let wanted = version(interface);
            *function.name == *name
                && wanted.is_some_and(|wanted| version(&function.interface) == Some(wanted))
        }
        None => *function.name == *name,
    };
    let found: Vec<_> = functions.iter().filter(|one| stands_for(one)).collect();
    let message = match found.as_slice() {
        [function] => return Ok(function),
        [] => format!("no function {}{}", shown(name), meant(name, functions)),
        several => {
            let (name, several) = (shown(name), names(several.iter().copied()));
            format!("{name} more than once: say which of {several}")
        }
    };
    let message = format!("the guest exports {message}");
    Err(Error::new(ErrorKind::Config, message))
}

/// Which of the functions may have been meant by a name that none has.
fn meant(name: &str, functions: &[ComponentFunction]) -> String {
    let called = functions.iter().map(|function| match name.contains('#') {
        true => format!("{}#{}", function.interface, function.name),
        false => function.name.to_string(),
    });
    let called: Vec<_> = called.collect();
    let called: Vec<_> = called.iter().map(String::as_str).collect();
    match nearest(name, &called) {
        Some(near) => format!(": was {} meant?", shown(near)),
        None if functions.is_empty() => "; it exports none".to_owned(),
        None => format!("; it exports {}", names(functions)),
    }
}

fn names<'a>(functions: impl IntoIterator<Item = &'a ComponentFunction>) -> String {
    let functions = functions.into_iter().take(8);
    let names: Vec<_> = functions.map(ToString::to_string).collect();
    names.join(", ")
}

impl Instance {
    /// Calls a function that a component exports: `ns:pkg/interface@1.0.0#function`, or `function` alone where that is
    /// one, with values of the types that it takes. What it returned, if it returns something.
    ///
    /// ```no_run
    /// use wasmrun_core::{Called, ComponentValue, Instance};
    /// # fn example(mut instance: Instance) -> wasmrun_core::Result<()> {
    /// // greet: func(name: string) -> string
    /// let name = ComponentValue::String("world".into());
    /// match instance.call_component("acme:plugin/greeter@1.0.0#greet", &[name])? {
    ///     Called::Returned(greeting) => println!("{greeting:?}"),
    ///     Called::Ended(outcome) => println!("the guest {outcome}"),
    /// }
    /// // With values of Rust's own.
    /// let greeting = instance.call_component_as::<_, String>("greet", ("world".to_owned(),))?;
    /// # let _ = greeting;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if there is no such function, or it takes other values: the message has its type and
    /// where a value differs, or the nearest name. [`Ended`](ErrorKind::Ended) if the guest had ended before. Otherwise
    /// what kept it from being observed.
    pub fn call_component(
        &mut self,
        name: &str,
        params: &[ComponentValue],
    ) -> Result<Called<Option<ComponentValue>>> {
        let (function, number) = self.of_component(name)?;
        let wanted = &function.signature.params;
        let why = if params.len() == wanted.len() {
            let mut pairs = params.iter().zip(wanted).enumerate();
            pairs.find_map(|(place, (value, (name, ty)))| {
                let mismatch = value.check(ty).err()?;
                Some(match &**name {
                    "" => mismatch.within(format_args!("[{place}]")).to_string(),
                    name => mismatch.within(format_args!(".{name}")).to_string(),
                })
            })
        } else {
            let (wanted, given) = (wanted.len(), params.len());
            Some(format!("it takes {wanted} values, and {given} are given"))
        };
        if let Some(why) = why {
            let message = format!("the guest's {function} is {}: {why}", function.signature);
            return Err(self.program.named(Error::new(ErrorKind::Config, message)));
        }
        self.attend(|live, limits, control| live.call_component(number, params, limits, control))
    }

    /// As [`call_component`](Instance::call_component), with values of Rust's own: a tuple of them, and what is returned.
    ///
    /// # Errors
    ///
    /// As for [`call_component`](Instance::call_component).
    pub fn call_component_as<P: InterfaceParams, R: InterfaceResult>(
        &mut self,
        name: &str,
        params: P,
    ) -> Result<Called<R>> {
        let (function, _) = self.of_component(name)?;
        let (has, wanted) = (&function.signature, signature::<P, R>());
        if !has.is_as(&wanted) {
            let message = format!("the guest's {function} is {has}, and is asked for as {wanted}");
            return Err(self.program.named(Error::new(ErrorKind::Config, message)));
        }
        let called = self.call_component(name, &params.into_values())?;
        Ok(match called {
            Called::Ended(outcome) => Called::Ended(outcome),
            Called::Returned(value) => Called::Returned(R::from_value(value).ok_or_else(|| {
                let message = "the engine returned a value of another type than the function's";
                self.program.named(Error::new(ErrorKind::Engine, message))
            })?),
        })
    }

    /// Drops a resource that a call returned. The guest may have something to do for that.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if it is not this instance's, or was used up. Otherwise as for
    /// [`call_component`](Instance::call_component).
    pub fn drop_resource(&mut self, resource: Resource) -> Result<Called<()>> {
        self.attend(|live, limits, control| {
            let dropped = live.drop_resource(&resource, limits, control)?;
            Ok(dropped.map_or(Ok(()), Err))
        })
    }

    /// The function of that name, and its number.
    fn of_component(&mut self, name: &str) -> Result<(ComponentFunction, usize)> {
        let named = |error| self.program.named(error);
        if let Some(known) = self.of_component.get(name) {
            return Ok(known.clone());
        }
        let function = component_function(self.program.guest(), name).map_err(named)?;
        let number = self
            .life
            .live()
            .and_then(|live| live.component_function(function));
        let known = (function.clone(), number.map_err(named)?);
        self.of_component.insert(name.to_owned(), known.clone());
        Ok(known)
    }
}
