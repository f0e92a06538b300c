//! `GET /api/budgets` and `GET /api/usage`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use jiff::Timestamp;
use lotoai_policy::usage;
use serde_json::{Value, json};

use crate::budget::plan::shown;
use crate::budget::rules::{Amounts, Kind, Limits};
use crate::budget::table::{Budget, Scope, Table};
use crate::budget::{Matched, Principal};
use crate::domain::page::{Page, PageQuery, not_of_list};
use crate::domain::parameters::Parameters;
use crate::domain::usage_request::{date, span};
use crate::failure::Failure;
use crate::identity::{Identity, SignedIn};
use crate::openapi::bodies::api::BudgetState;
use crate::state::AppState;
use crate::store::{OpenWindow, UsageCursor, UsageQuery, UsageRow, WindowCursor};

/// The caller's budgets with what is left of them; with `all=true`, for administrators, everybody's
/// of which something is used.
///
/// # Errors
/// 400 for a bad or unknown parameter, 403 for the wish of others to see all, 503 when the database
/// is away.
#[utoipa::path(
    get,
    path = "/api/budgets",
    operation_id = "listBudgets",
    tag = "usage",
    params(
        ("all" = Option<bool>, Query, description = "Everybody's, for administrators"),
        PageQuery,
    ),
    responses((status = 200, description = "A page", body = Page<BudgetState>)),
)]
pub async fn list(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Value>>, Failure> {
    let mut query = Parameters::parse(query.as_deref(), &["all", "limit", "cursor"])?;
    let all = flag(&mut query, "all")?;
    let page = PageQuery::of(&mut query);
    let limit = page.limit()?;
    let after = page.after::<WindowCursor>()?;
    // The database counts from 4713 BC only; no window began before 1970.
    if let Some((_, _, start)) = &after
        && (*start < 0 || Timestamp::from_second(*start).is_err())
    {
        return Err(not_of_list());
    }
    if all {
        usage::may_see_others(identity.who(), "all")?;
        return everybodys(&state, after, limit).await.map(Json);
    }
    own(&state, &identity, after, limit).await.map(Json)
}

/// Those of the caller, by name and subject as everybody's are. When the window of a cursor began
/// does not matter: another may have begun since.
async fn own(
    state: &AppState,
    identity: &Identity,
    after: Option<WindowCursor>,
    limit: usize,
) -> Result<Page<Value>, Failure> {
    let table = state.budgets.table();
    let mut matched = table.matching(&Principal::of(identity), Timestamp::now());
    if let Some((budget, subject, _)) = &after {
        matched.retain(|it| place(it) > (budget.as_str(), subject.as_str()));
    }
    matched.sort_by(|one, other| place(one).cmp(&place(other)));
    let page = Page::of(matched, limit, key);
    let keys: Vec<WindowCursor> = page.items.iter().map(key).collect();
    let windows = if keys.is_empty() {
        Vec::new()
    } else {
        state.store.windows_of(&keys).await?
    };
    let items = page.items.iter().map(|it| {
        let used = windows
            .iter()
            .find(|window| (&window.budget, &window.subject) == (&it.budget.name, &it.subject));
        let used = used.map(|window| window.used).unwrap_or_default();
        view(&table, it, used)
    });
    Ok(Page {
        items: items.collect(),
        next_cursor: page.next_cursor,
    })
}

fn place<'a>(it: &'a Matched<'_>) -> (&'a str, &'a str) {
    (&it.budget.name, &it.subject)
}

fn key(it: &Matched<'_>) -> WindowCursor {
    (it.budget.name.clone(), it.subject.clone(), it.window.start)
}

async fn everybodys(
    state: &AppState,
    after: Option<WindowCursor>,
    limit: usize,
) -> Result<Page<Value>, Failure> {
    let windows = state.store.open_windows(after, limit as i64 + 1).await?;
    let page = Page::of(windows, limit, |window: &OpenWindow| {
        (window.budget.clone(), window.subject.clone(), window.start)
    });
    // A counter of a budget that is no more says nothing.
    let table = state.budgets.table();
    let items = page.items.iter().filter_map(|window| {
        let budget = table.budget(&window.budget)?;
        let start = Timestamp::from_second(window.start).ok()?;
        let matched = Matched {
            budget,
            subject: window.subject.clone(),
            window: budget.per.window(start),
        };
        Some(view(&table, &matched, window.used))
    });
    Ok(Page {
        items: items.collect(),
        next_cursor: page.next_cursor,
    })
}

fn view(table: &Table, it: &Matched<'_>, used: Amounts) -> Value {
    let Matched {
        budget,
        subject,
        window,
    } = it;
    let Budget {
        name,
        scope,
        per,
        limits,
        unknown_price,
        warn_at_percent,
        ..
    } = budget;
    json!({
        "name": name,
        "scope": scope,
        "subject": (*scope != Scope::Platform).then_some(subject),
        "per": per,
        "resets_at": window.resets_at(),
        "warn_at_percent": warn_at_percent,
        "unknown_price": limits.micros.map(|_| unknown_price),
        "percent": limits.percent(&used).1,
        "unpriced_requests": used.unpriced,
        "limits": amounts(limits, table, |_, limit| limit),
        "used": amounts(limits, table, |kind, _| used.of(kind)),
        "left": amounts(limits, table, |kind, limit| limit.saturating_sub(used.of(kind)).max(0)),
    })
}

/// An object with what is limited, and nothing else.
pub(super) fn amounts(limits: &Limits, table: &Table, value: impl Fn(Kind, i64) -> i64) -> Value {
    let each = limits.each().map(|(kind, limit)| {
        let shown = shown(kind, value(kind, limit), &table.currency);
        (kind.name().to_owned(), shown)
    });
    Value::Object(each.collect())
}

/// The caller's usage by day and model, the newest day first; for administrators everybody's, or
/// that of `subject`.
///
/// # Errors
/// 400 for a bad or unknown parameter, 403 for the wish of others to see somebody else's, 503 when
/// the database is away.
#[utoipa::path(
    get,
    path = "/api/usage",
    operation_id = "listUsage",
    tag = "usage",
    params(
        ("from" = Option<String>, Query, description = "First day in UTC, such as 2026-11-26"),
        ("to" = Option<String>, Query, description = "Last day in UTC; today without it"),
        ("subject" = Option<String>, Query, description = "Whose, for administrators"),
        ("all" = Option<bool>, Query, description = "Everybody's, for administrators"),
        PageQuery,
    ),
    responses((status = 200, description = "A page", body = Page<UsageRow>)),
)]
pub async fn usage(
    State(state): State<Arc<AppState>>,
    SignedIn(identity): SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<UsageRow>>, Failure> {
    let known = ["from", "to", "subject", "all", "limit", "cursor"];
    let mut query = Parameters::parse(query.as_deref(), &known)?;
    let (from, to) = span(&mut query, Timestamp::now())?;
    let all = flag(&mut query, "all")?;
    let subject = usage::whose(identity.who(), all, query.take("subject"))?;
    let page = PageQuery::of(&mut query);
    let limit = page.limit()?;
    let after = page.after::<UsageCursor>()?;
    let usage = UsageQuery {
        subject,
        from: from.to_string(),
        to: to.to_string(),
    };
    if let Some(UsageCursor { day, .. }) = &after {
        date("cursor", day)?;
    }
    let items = state.store.usage(&usage, after, limit as i64 + 1).await?;
    Ok(Json(Page::of(items, limit, |row| UsageCursor {
        day: row.day.clone(),
        id: row.id,
    })))
}

/// A parameter that is true or false; false when nothing is said.
///
/// # Errors
/// 400 when it is anything else.
pub fn flag(query: &mut Parameters, name: &str) -> Result<bool, Failure> {
    match query.take(name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Failure::invalid(
            name,
            format!("{name} must be true or false"),
        )),
    }
}
