//! What executables answered, so that one that has not changed is not asked again.

use std::fs::{self, Metadata};
use std::path::Path;

use serde::{Deserialize, Serialize};
use wasmrun_core::{Answers, Result};

use crate::Cache;
use crate::seen::{Look, now};

#[derive(Serialize, Deserialize)]
struct Answered {
    question: String,
    answer: String,
}

impl Answers for Cache {
    fn answer(
        &self,
        executable: &Path,
        question: &str,
        ask: &mut dyn FnMut() -> Result<String>,
    ) -> Result<String> {
        let directory = &self.0.place.answers;
        let look = || {
            let before = now();
            let metadata = fs::metadata(executable).ok().filter(Metadata::is_file)?;
            Look::new(&metadata, before)
        };
        let Some(before) = look() else {
            return ask();
        };
        if let Some(known) = before.recall::<Answered>(directory)
            && known.question == question
        {
            return Ok(known.answer);
        }
        let answer = ask()?;
        // Whoever replaced it meanwhile may have got the question.
        if look().is_some_and(|after| after.is_at(&before)) {
            before.keep(
                directory,
                Answered {
                    question: question.into(),
                    answer: answer.clone(),
                },
            );
        }
        Ok(answer)
    }
}
