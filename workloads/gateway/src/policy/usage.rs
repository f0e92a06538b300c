//! Who sees what is used.

use axum::http::StatusCode;

use crate::failure::Failure;
use crate::identity::Identity;

/// Lets the caller see what others use; `param` is what asks for it.
///
/// # Errors
/// 403 for everybody but administrators.
pub fn may_see_others(identity: &Identity, param: &str) -> Result<(), Failure> {
    if identity.is_admin() {
        return Ok(());
    }
    let message = "only administrators see what others use; leave this parameter out";
    let mut failure = Failure::new(StatusCode::FORBIDDEN, "admins_only", message);
    failure.param = Some(param.to_owned());
    Err(failure)
}

/// Whose usage the caller is shown: the caller's own when nobody is named. Nothing stands for
/// everybody's.
///
/// # Errors
/// As [`may_see_others`].
pub fn whose(
    identity: &Identity,
    all: bool,
    subject: Option<String>,
) -> Result<Option<String>, Failure> {
    if all {
        may_see_others(identity, "all")?;
        return Ok(subject);
    }
    let subject = subject.unwrap_or_else(|| identity.subject.clone());
    if subject != identity.subject {
        may_see_others(identity, "subject")?;
    }
    Ok(Some(subject))
}
