//! The document as one page for people: written here, without scripts, so that it loads nothing
//! from elsewhere and keeps to the strictest content security policy.

mod html;
mod language;
mod schema;

use serde_json::{Map, Value};

use self::html::{escape, prose};
pub use self::language::Language;
use self::language::Texts;

/// How the page looks.
pub const STYLE: &str = include_str!("style.css");

/// Methods in the order in which people read them.
const METHODS: [&str; 7] = ["options", "head", "get", "post", "put", "patch", "delete"];

/// A call of the document.
struct Call<'d> {
    method: &'static str,
    path: &'d str,
    operation: &'d Value,
}

/// Writes the page.
pub fn render(document: &Value, language: Language) -> String {
    let texts = language.texts();
    let mut page = String::with_capacity(128 * 1024);
    page.push_str(&head(document, language));
    let tags: Vec<&Value> = document["tags"].as_array().into_iter().flatten().collect();
    let calls = calls(document);
    page.push_str(&format!("<nav aria-label=\"{}\"><ul>\n", texts.contents));
    for tag in &tags {
        let name = escape(text(&tag["name"]));
        page.push_str(&format!(
            "<li><a href=\"#tag-{name}\">{name}</a> <span lang=\"en\">{}</span></li>\n",
            escape(text(&tag["description"]))
        ));
    }
    page.push_str(&format!(
        "<li><a href=\"#schemas\">{}</a></li>\n</ul></nav>\n<main id=\"main\">\n",
        texts.schemas
    ));
    for tag in &tags {
        let name = escape(text(&tag["name"]));
        page.push_str(&format!(
            "<section aria-labelledby=\"tag-{name}\">\n<h2 id=\"tag-{name}\">{name}</h2>\n"
        ));
        let of_tag = |call: &&Call<'_>| call.operation["tags"][0] == tag["name"];
        for call in calls.iter().filter(of_tag) {
            page.push_str(&article(call, document, texts));
        }
        page.push_str("</section>\n");
    }
    page.push_str(&schemas(document, texts));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn head(document: &Value, language: Language) -> String {
    let texts = language.texts();
    let other = language.other();
    let info = &document["info"];
    format!(
        "<!doctype html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} {version}: {api}</title>\n\
         <link rel=\"stylesheet\" href=\"/api/docs/style.css\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">{skip}</a>\n<header>\n<h1>{title}: {api}</h1>\n\
         <div lang=\"en\">{description}</div>\n<p>{version_word} {version} · {server_word} \
         <code>{server}</code> · <a href=\"/api/openapi.json\">OpenAPI {openapi}</a> · \
         <a href=\"/api/docs?lang={other_tag}\" hreflang=\"{other_tag}\" lang=\"{other_tag}\">\
         {other_name}</a></p>\n{english}</header>\n",
        tag = language.tag(),
        title = escape(text(&info["title"])),
        version = escape(text(&info["version"])),
        api = texts.api,
        skip = texts.skip,
        description = prose(text(&info["description"])),
        version_word = texts.version,
        server_word = texts.server,
        server = escape(text(&document["servers"][0]["url"])),
        openapi = escape(text(&document["openapi"])),
        other_tag = other.tag(),
        other_name = other.texts().name,
        english = texts
            .english
            .map(|note| format!("<p>{note}</p>\n"))
            .unwrap_or_default(),
    )
}

fn calls(document: &Value) -> Vec<Call<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .flat_map(|(path, item)| {
            METHODS.into_iter().filter_map(move |method| {
                Some(Call {
                    method,
                    path: path.as_str(),
                    operation: item.get(method)?,
                })
            })
        })
        .collect()
}

fn article(call: &Call<'_>, document: &Value, texts: &Texts) -> String {
    let Call {
        method,
        path,
        operation,
    } = call;
    let id = escape(text(&operation["operationId"]));
    let mut out = format!(
        "<article aria-labelledby=\"{id}\">\n<h3 id=\"{id}\"><code><b>{method}</b> {path}</code></h3>\n\
         <div lang=\"en\">{summary}{description}</div>\n<p>{needs}: {callers}</p>\n",
        method = method.to_ascii_uppercase(),
        path = escape(path),
        summary = prose(text(&operation["summary"])),
        description = prose(text(&operation["description"])),
        needs = texts.needs,
        callers = callers(&operation["security"], texts),
    );
    let parameters = operation["parameters"].as_array();
    let rows: Vec<[String; 4]> = parameters
        .into_iter()
        .flatten()
        .map(|it| parameter(resolve(it, document), texts))
        .collect();
    if !rows.is_empty() {
        let columns = [texts.name_column, texts.place, texts.r#type, texts.meaning];
        out.push_str(&table(texts.parameters, &columns, &rows));
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        out.push_str(&format!(
            "<p>{}: {}</p>\n",
            texts.body,
            bodies(content, texts)
        ));
    }
    let responses = operation["responses"].as_object().into_iter().flatten();
    let rows: Vec<[String; 3]> = responses
        .map(|(status, response)| {
            let content = response["content"].as_object();
            [
                format!("<code>{}</code>", escape(status)),
                format!(
                    "<span lang=\"en\">{}</span>",
                    inline_prose(&response["description"])
                ),
                content
                    .map(|content| bodies(content, texts))
                    .unwrap_or_default(),
            ]
        })
        .collect();
    let columns = [texts.status, texts.meaning, texts.body];
    out.push_str(&table(texts.answers, &columns, &rows));
    out.push_str("</article>\n");
    out
}

/// How a caller may be known, in words.
fn callers(security: &Value, texts: &Texts) -> String {
    let ways: Vec<String> = security
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .flatten()
        .map(|(name, scopes)| {
            let word = match name.as_str() {
                "accessToken" => texts.access_token.to_owned(),
                "apiKey" => texts.api_key.to_owned(),
                "session" => texts.session.to_owned(),
                other => escape(other),
            };
            let scopes = scopes.as_array().into_iter().flatten();
            let scopes: Vec<String> = scopes
                .map(|scope| format!("<code>{}</code>", escape(text(scope))))
                .collect();
            if scopes.is_empty() {
                word
            } else {
                format!("{word} ({} {})", texts.scope, scopes.join(", "))
            }
        })
        .collect();
    if ways.is_empty() {
        texts.nothing.to_owned()
    } else {
        ways.join(" · ")
    }
}

fn parameter(parameter: &Value, texts: &Texts) -> [String; 4] {
    let required = parameter["required"] == true;
    let mark = if required { texts.required } else { "" };
    [
        format!("<code>{}</code> {mark}", escape(text(&parameter["name"]))),
        escape(text(&parameter["in"])),
        schema::of(&parameter["schema"], texts),
        format!(
            "<span lang=\"en\">{}</span>",
            inline_prose(&parameter["description"])
        ),
    ]
}

/// Media types and what is in them.
fn bodies(content: &Map<String, Value>, texts: &Texts) -> String {
    let each = content.iter().map(|(media_type, it)| {
        let shape = schema::of(&it["schema"], texts);
        format!("<code>{}</code> {shape}", escape(media_type))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn schemas(document: &Value, texts: &Texts) -> String {
    let mut out = format!(
        "<section aria-labelledby=\"schemas\">\n<h2 id=\"schemas\">{}</h2>\n",
        texts.schemas
    );
    let all = document["components"]["schemas"].as_object();
    for (name, it) in all.into_iter().flatten() {
        let name = escape(name);
        out.push_str(&format!(
            "<article aria-labelledby=\"schema-{name}\">\n<h3 id=\"schema-{name}\">\
             <code>{name}</code></h3>\n<div lang=\"en\">{}</div>\n",
            prose(text(&it["description"]))
        ));
        let rows = schema::fields(it, texts);
        if rows.is_empty() {
            out.push_str(&format!("<p>{}</p>\n", schema::of(it, texts)));
        } else {
            let columns = [texts.name_column, texts.r#type, texts.meaning];
            out.push_str(&table(texts.fields, &columns, &rows));
        }
        out.push_str("</article>\n");
    }
    out.push_str("</section>\n");
    out
}

/// A table whose cells are written already. It scrolls by itself where it is too wide.
fn table<const N: usize>(caption: &str, columns: &[&str; N], rows: &[[String; N]]) -> String {
    let mut out = format!(
        "<div class=\"wide\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">\n<table>\n\
         <caption>{caption}</caption>\n<thead><tr>"
    );
    for column in columns {
        out.push_str(&format!("<th scope=\"col\">{column}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (place, cell) in row.iter().enumerate() {
            if place == 0 {
                out.push_str(&format!("<th scope=\"row\">{cell}</th>"));
            } else {
                out.push_str(&format!("<td>{cell}</td>"));
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    out
}

/// What a reference stands for.
fn resolve<'d>(value: &'d Value, document: &'d Value) -> &'d Value {
    value["$ref"]
        .as_str()
        .and_then(|reference| document.pointer(reference.strip_prefix('#')?))
        .unwrap_or(value)
}

fn inline_prose(value: &Value) -> String {
    html::inline(text(value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
