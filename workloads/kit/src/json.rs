//! JSON request bodies with a limit and an error that names the field.

use axum::extract::{FromRequest, OriginalUri, Request};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::de::DeserializeOwned;

use crate::http_error::{ApiError, Shape};

/// The body limit of [`Limited`] unless another is given, in bytes.
pub const DEFAULT_LIMIT: usize = 1024 * 1024;

/// A JSON request body of at most `MAX` bytes, read strictly: the media type must be JSON, the
/// text valid UTF-8 without anything after the value, and every field of the type that `T` wants.
/// Fields that `T` does not know are refused when `T` says `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone)]
pub struct Limited<T, const MAX: usize = DEFAULT_LIMIT>(pub T);

impl<T, S, const MAX: usize> FromRequest<S> for Limited<T, MAX>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let path = request
            .extensions()
            .get::<OriginalUri>()
            .map_or_else(|| request.uri().path(), |uri| uri.0.path());
        let shape = Shape::of_path(path);
        let parsed = match read(request, MAX).await {
            Ok(body) => parse(&body),
            Err(error) => Err(error),
        };
        parsed.map(Self).map_err(|error| error.with_shape(shape))
    }
}

async fn read(request: Request, max: usize) -> Result<Bytes, ApiError> {
    let is_json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the body must be JSON; send the header Content-Type: application/json",
        ));
    }
    axum::body::to_bytes(request.into_body(), max)
        .await
        .map_err(|error| {
            let too_large = std::error::Error::source(&error)
                .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
            if too_large {
                let message = format!("the body is larger than {max} bytes; send less");
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
            } else {
                ApiError::new(
                    StatusCode::BAD_REQUEST,
                    "body_incomplete",
                    "the body broke off; send it again",
                )
            }
        })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let bad = |code, message| ApiError::new(StatusCode::BAD_REQUEST, code, message);
    if std::str::from_utf8(body).is_err() {
        return Err(bad(
            "invalid_json",
            "the body is not valid UTF-8; encode it as UTF-8".to_owned(),
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if !cause.is_data() {
            return bad(
                "invalid_json",
                format!("the body is not valid JSON: {cause}"),
            );
        }
        let field = field(&path, &cause.to_string());
        match field {
            Some(field) => {
                bad("invalid_field", format!("field `{field}`: {cause}")).with_param(field)
            }
            None => bad(
                "invalid_field",
                format!("the body has the wrong form: {cause}"),
            ),
        }
    })?;
    reader.end().map_err(|error| {
        bad(
            "invalid_json",
            format!("the body goes on after its JSON value: {error}"),
        )
    })?;
    Ok(value)
}

/// The field at fault: where reading stopped, plus the field that the message names when it is
/// one that is unknown or missing there.
fn field(path: &str, message: &str) -> Option<String> {
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|rest| rest.split('`').next());
    let base = if path == "." { "" } else { path };
    match (base, named) {
        ("", None) => None,
        ("", Some(name)) => Some(name.to_owned()),
        (base, None) => Some(base.to_owned()),
        // serde_path_to_error already ends in an unknown field, but not in a missing one.
        (base, Some(name)) if base == name || base.ends_with(&format!(".{name}")) => {
            Some(base.to_owned())
        }
        (base, Some(name)) => Some(format!("{base}.{name}")),
    }
}

#[cfg(test)]
mod tests;
