//! The headers of tus, the protocol of resumable uploads: <https://tus.io/protocols/resumable-upload>,
//! version 1.0.0, core with the extensions of [`EXTENSIONS`].

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lotoai_policy::documents::DEFAULT_KNOWLEDGE_BASE;

use super::text::file_name;
use super::upload::{self, Description};
use crate::failure::Failure;

/// The version of the protocol.
pub const VERSION: &str = "1.0.0";
/// What is spoken of it beside its core.
pub const EXTENSIONS: &str = "creation,expiration,termination";
/// The version that a request or an answer speaks.
pub const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
/// The versions that could be spoken.
pub const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
/// The extensions.
pub const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
/// Bytes of the largest upload.
pub const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
/// Where the bytes of a request begin, or those that are still to come.
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// Bytes in all.
pub const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// What a client says of the file.
pub const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
/// When an upload that nothing is added to is deleted.
pub const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// What the bytes of a request are.
pub const PIECE: &str = "application/offset+octet-stream";

/// Headers of extensions that are not spoken, which would mean something else than what is done.
const UNSPOKEN: [(&str, &str); 2] = [
    (
        "upload-defer-length",
        "say in Upload-Length how long the file is",
    ),
    ("upload-concat", "send the file as one upload"),
];
/// Longest `Upload-Metadata`, in bytes.
const MAX_METADATA_BYTES: usize = 4096;

/// An upload that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// What it is to be.
    pub description: Description,
    /// Bytes in all.
    pub size: i64,
    /// `Upload-Metadata` as it was sent.
    pub metadata: String,
}

impl Creation {
    /// What the headers of a request ask for; `max` is the size of the largest file in bytes.
    ///
    /// # Errors
    /// 400 for what is missing or cannot be read, 413 for too large a file, 415 for a name that is
    /// none of a file that can be read.
    pub fn of(headers: &HeaderMap, max: u64) -> Result<Self, Failure> {
        for (name, instead) in UNSPOKEN {
            if headers.contains_key(name) {
                let message = format!("{name} is not supported here; {instead}");
                return Err(Failure::unsupported(name, message));
            }
        }
        let size = number(headers, &UPLOAD_LENGTH)?;
        if size == 0 {
            return Err(upload::empty());
        }
        if size.unsigned_abs() > max {
            return Err(upload::too_large(max));
        }
        let metadata = one(headers, &UPLOAD_METADATA)?.unwrap_or_default();
        Ok(Self {
            description: description(metadata)?,
            size,
            metadata: metadata.to_owned(),
        })
    }
}

/// Checks that a request speaks our version.
///
/// # Errors
/// 412 when it does not.
pub fn check_version(headers: &HeaderMap) -> Result<(), Failure> {
    if one(headers, &TUS_RESUMABLE).ok().flatten() == Some(VERSION) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::PRECONDITION_FAILED,
        "tus_version_unsupported",
        format!("send the header Tus-Resumable: {VERSION}; this is the version that is spoken"),
    ))
}

/// Checks what the body of a request is, and says where its bytes begin.
///
/// # Errors
/// 415 when it is no piece of a file, 400 when it does not say where it begins.
pub fn offset(headers: &HeaderMap) -> Result<i64, Failure> {
    if one(headers, &CONTENT_TYPE).ok().flatten() != Some(PIECE) {
        let message = format!("send the bytes as Content-Type: {PIECE}");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Failure::new(status, "unsupported_media_type", message));
    }
    number(headers, &UPLOAD_OFFSET)
}

/// What `Upload-Metadata` says of a file. `filename` is its name (Uppy says `name` as well), and
/// `knowledge_base` where it belongs; clients say more, which means nothing here.
fn description(metadata: &str) -> Result<Description, Failure> {
    if metadata.len() > MAX_METADATA_BYTES {
        return Err(invalid(
            &UPLOAD_METADATA,
            &format!("must be at most {MAX_METADATA_BYTES} bytes long"),
        ));
    }
    let (mut named, mut knowledge_base) = ([None, None], None);
    for pair in metadata.split(',').map(str::trim) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let place = match key {
            "filename" => &mut named[0],
            "name" => &mut named[1],
            "knowledge_base" => &mut knowledge_base,
            _ => continue,
        };
        if place.replace(text(key, value.trim())?).is_some() {
            let fault = format!("must say {key} once");
            return Err(invalid(&UPLOAD_METADATA, &fault));
        }
    }
    let [filename, name] = named;
    let name = filename.or(name).as_deref().and_then(file_name);
    let name = name.ok_or_else(|| {
        invalid(
            &UPLOAD_METADATA,
            "must say the file's name: `filename` and the name in base64",
        )
    })?;
    let knowledge_base = knowledge_base.unwrap_or_else(|| DEFAULT_KNOWLEDGE_BASE.to_owned());
    upload::knowledge_base(&knowledge_base)?;
    Ok(Description {
        media_type: upload::media_type(&name)?.to_owned(),
        name,
        knowledge_base,
    })
}

/// A value of the metadata.
fn text(key: &str, value: &str) -> Result<String, Failure> {
    let bytes = STANDARD.decode(value).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            let fault = format!("must have {key} as UTF-8 in base64");
            invalid(&UPLOAD_METADATA, &fault)
        })
}

/// A header that is a number of bytes.
fn number(headers: &HeaderMap, name: &HeaderName) -> Result<i64, Failure> {
    let value = one(headers, name)?.unwrap_or_default();
    // A sign would be read, too.
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse::<i64>().ok().filter(|_| is_plain);
    number.ok_or_else(|| invalid(name, "must be given as a number of bytes, 0 or more"))
}

/// A header that may be given once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str());
    match (value.transpose(), values.next()) {
        (Ok(value), None) => Ok(value),
        _ => Err(invalid(name, "must be given once, in printable ASCII")),
    }
}

fn invalid(name: &HeaderName, fault: &str) -> Failure {
    let name = title_case(name.as_str());
    let message = format!("{name} {fault}");
    Failure::invalid(name, message)
}

/// A header's name as people write it.
fn title_case(name: &str) -> String {
    let mut is_first = true;
    name.chars()
        .map(|c| {
            let is_start = std::mem::replace(&mut is_first, c == '-');
            if is_start { c.to_ascii_uppercase() } else { c }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// `a.txt` in base64.
    const NAMED: &str = "filename YS50eHQ=";

    fn creation(length: &str, metadata: &str) -> Result<Creation, String> {
        let headers = headers(&[("upload-length", length), ("upload-metadata", metadata)]);
        Creation::of(&headers, 100).map_err(|failure| failure.code.into_owned())
    }

    #[rstest::rstest]
    #[case::plain(NAMED, "a.txt", "text/plain", "default")]
    #[case::base("filename YS50eHQ=,knowledge_base aHI=", "a.txt", "text/plain", "hr")]
    #[case::spaces(
        "knowledge_base aHI= , filename w7EubWQ=",
        "ñ.md",
        "text/markdown",
        "hr"
    )]
    #[case::uppy(
        "relativePath bnVsbA==,name YS50eHQ=,type ,is_confidential",
        "a.txt",
        "text/plain",
        "default"
    )]
    #[case::both("name Yi50eHQ=,filename YS50eHQ=", "a.txt", "text/plain", "default")]
    #[case::path("filename Li4vYS50eHQ=", "a.txt", "text/plain", "default")]
    fn what_is_asked_for(
        #[case] metadata: &str,
        #[case] name: &str,
        #[case] media_type: &str,
        #[case] knowledge_base: &str,
    ) {
        let creation = creation("100", metadata).unwrap();
        let expected = Description {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            knowledge_base: knowledge_base.to_owned(),
        };
        assert_eq!(creation.description, expected);
        assert_eq!((creation.size, creation.metadata.as_str()), (100, metadata));
    }

    #[rstest::rstest]
    #[case::too_large("101", NAMED, "document_too_large")]
    #[case::far_too_large("9223372036854775807", NAMED, "document_too_large")]
    #[case::beyond_numbers("9223372036854775808", NAMED, "invalid_value")]
    #[case::empty("0", NAMED, "invalid_value")]
    #[case::negative("-1", NAMED, "invalid_value")]
    #[case::signed("+1", NAMED, "invalid_value")]
    #[case::no_length("", NAMED, "invalid_value")]
    #[case::no_name("1", "", "invalid_value")]
    #[case::empty_name("1", "filename", "invalid_value")]
    #[case::dots("1", "filename Li4=", "invalid_value")]
    #[case::twice("1", "filename YS50eHQ=,filename YS50eHQ=", "invalid_value")]
    #[case::no_base64("1", "filename a.txt", "invalid_value")]
    #[case::latin1("1", "filename 8S50eHQ=", "invalid_value")]
    #[case::kind("1", "filename YS5wZGY=", "unsupported_media_type")]
    #[case::base("1", "filename YS50eHQ=,knowledge_base Kg==", "invalid_value")]
    fn what_cannot_be_asked_for(#[case] length: &str, #[case] metadata: &str, #[case] code: &str) {
        assert_eq!(creation(length, metadata).unwrap_err(), code);
    }

    #[test]
    fn long_metadata_and_unspoken_extensions_are_refused() {
        let long = format!("{NAMED},x {}", "A".repeat(MAX_METADATA_BYTES));
        assert_eq!(creation("1", &long).unwrap_err(), "invalid_value");
        for (name, value) in [("upload-defer-length", "1"), ("upload-concat", "partial")] {
            let asked = headers(&[
                ("upload-length", "1"),
                ("upload-metadata", NAMED),
                (name, value),
            ]);
            let failure = Creation::of(&asked, 100).unwrap_err();
            assert_eq!(failure.code, "unsupported_parameter");
            assert_eq!(failure.param.as_deref(), Some(name));
        }
    }

    #[rstest::rstest]
    #[case(&[("tus-resumable", "1.0.0")], true)]
    #[case(&[], false)]
    #[case(&[("tus-resumable", "0.2.2")], false)]
    #[case(&[("tus-resumable", "1.0.0"), ("tus-resumable", "1.0.0")], false)]
    fn versions(#[case] pairs: &[(&'static str, &str)], #[case] accepted: bool) {
        assert_eq!(check_version(&headers(pairs)).is_ok(), accepted);
    }

    #[rstest::rstest]
    #[case(&[("content-type", PIECE), ("upload-offset", "7")], Ok(7))]
    #[case(&[("content-type", PIECE)], Err("invalid_value Upload-Offset"))]
    #[case(&[("content-type", PIECE), ("upload-offset", "7 ")], Err("invalid_value Upload-Offset"))]
    #[case(&[("content-type", PIECE), ("upload-offset", "7"), ("upload-offset", "8")], Err("invalid_value Upload-Offset"))]
    #[case(&[("content-type", "text/plain"), ("upload-offset", "7")], Err("unsupported_media_type "))]
    #[case(&[("upload-offset", "7")], Err("unsupported_media_type "))]
    fn offsets(#[case] pairs: &[(&'static str, &str)], #[case] expected: Result<i64, &str>) {
        let found = offset(&headers(pairs))
            .map_err(|failure| format!("{} {}", failure.code, failure.param.unwrap_or_default()));
        assert_eq!(found, expected.map_err(str::to_owned));
    }
}
