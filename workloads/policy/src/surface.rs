//! What each route needs, by method and path.

use std::collections::HashMap;

use http::Method;

use crate::Needs;

/// The declarations of all routes.
#[derive(Debug, Default)]
pub struct Surface(HashMap<&'static str, Vec<(Method, Needs)>>);

impl Surface {
    /// Of these routes.
    #[must_use]
    pub fn new(routes: impl IntoIterator<Item = (Method, &'static str, Needs)>) -> Self {
        let mut surface = Self::default();
        for (method, path, needs) in routes {
            surface.0.entry(path).or_default().push((method, needs));
        }
        surface
    }

    /// What a request needs. A method that the route does not take is told so to callers only.
    #[must_use]
    pub fn needs(&self, method: &Method, route: &str) -> Needs {
        let declared = self.0.get(route).map_or(&[][..], Vec::as_slice);
        let of = |method: &Method| declared.iter().find(|(known, _)| known == method);
        let found = of(method).or_else(|| {
            // Where it is not declared, the router answers HEAD as GET without its body.
            (method == Method::HEAD).then(|| of(&Method::GET)).flatten()
        });
        found.map_or(Needs::Caller, |(_, needs)| *needs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    #[test]
    fn what_is_not_declared_needs_a_caller() {
        let surface = Surface::new([(Method::GET, "/a", Needs::Nothing)]);
        assert_eq!(surface.needs(&Method::GET, "/a"), Needs::Nothing);
        assert_eq!(surface.needs(&Method::HEAD, "/a"), Needs::Nothing);
        assert_eq!(surface.needs(&Method::POST, "/a"), Needs::Caller);
        assert_eq!(surface.needs(&Method::GET, "/b"), Needs::Caller);
        assert_eq!(surface.needs(&Method::HEAD, "/b"), Needs::Caller);
    }

    #[test]
    fn head_needs_what_it_declares_before_what_get_does() {
        let scope = Needs::Scope(Scope::WriteDocuments);
        let surface = Surface::new([
            (Method::GET, "/a", Needs::Nothing),
            (Method::HEAD, "/a", scope),
            (Method::HEAD, "/b", scope),
        ]);
        assert_eq!(surface.needs(&Method::HEAD, "/a"), scope);
        assert_eq!(surface.needs(&Method::HEAD, "/b"), scope);
        assert_eq!(surface.needs(&Method::GET, "/a"), Needs::Nothing);
        assert_eq!(surface.needs(&Method::GET, "/b"), Needs::Caller);
    }
}
