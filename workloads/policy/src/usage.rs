//! Who sees what is used.

use crate::{Caller, Refusal};

/// Lets the caller see what others use; `param` is what asks for it.
///
/// # Errors
/// 403 for everybody but administrators.
pub fn may_see_others(caller: Caller<'_>, param: &'static str) -> Result<(), Refusal> {
    if caller.is_admin() {
        return Ok(());
    }
    let message = "only administrators see what others use; leave this parameter out";
    Err(Refusal::forbidden("admins_only", message).about(param))
}

/// Whose usage the caller is shown: the caller's own when nobody is named. Nothing stands for
/// everybody's.
///
/// # Errors
/// As [`may_see_others`].
pub fn whose(
    caller: Caller<'_>,
    all: bool,
    subject: Option<String>,
) -> Result<Option<String>, Refusal> {
    if all {
        may_see_others(caller, "all")?;
        return Ok(subject);
    }
    let subject = subject.unwrap_or_else(|| caller.subject.to_owned());
    if subject != caller.subject {
        may_see_others(caller, "subject")?;
    }
    Ok(Some(subject))
}
