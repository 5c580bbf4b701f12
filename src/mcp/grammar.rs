//! The grammar of `WWW-Authenticate` (RFC 9110, sections 5.6 and 11.6.1), read leniently: a cursor
//! over one line that never panics and never looks at a character twice without moving on. What the
//! challenges mean is in [`super::challenge`], with the tests.

use std::iter::Peekable;
use std::str::CharIndices;

use super::challenge::{Challenge, MAX_CHALLENGES, MAX_PARAMS};

/// A cursor over one line.
pub(super) struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            rest: text.char_indices().peekable(),
        }
    }

    /// Adds the line's challenges. A parameter before any scheme belongs to nobody.
    pub(super) fn challenges(mut self, found: &mut Vec<Challenge>) {
        let mut open = false;
        loop {
            self.skip(|c| is_space(c) || c == ',');
            if self.peek().is_none() {
                return;
            }
            let Some(word) = self.take_token() else {
                self.skip_element();
                continue;
            };
            if self.at_assignment() {
                let value = self.take_value();
                if let (true, Some(value), Some(challenge)) = (open, value, found.last_mut()) {
                    let name = word.to_ascii_lowercase();
                    if challenge.params.len() < MAX_PARAMS && challenge.param(&name).is_none() {
                        challenge.params.push((name, value));
                    }
                }
            } else if found.len() < MAX_CHALLENGES {
                found.push(Challenge {
                    scheme: word.to_owned(),
                    params: Vec::new(),
                });
                open = true;
                self.skip_token68();
            } else {
                open = false;
            }
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        while self.rest.next_if(|(_, c)| unwanted(*c)).is_some() {}
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let start = self.position();
        self.skip(wanted);
        let end = self.position();
        self.text.get(start..end).unwrap_or_default()
    }

    fn take_token(&mut self) -> Option<&'a str> {
        let token = self.take_while(is_token);
        (!token.is_empty()).then_some(token)
    }

    /// Whether `=` comes next, blanks aside; both are consumed if so.
    fn at_assignment(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        while ahead.next_if(|(_, c)| is_space(*c)).is_some() {}
        let assignment = ahead.next_if(|(_, c)| *c == '=').is_some();
        if assignment {
            self.rest = ahead;
        }
        assignment
    }

    /// A quoted string, or anything up to a comma or blank: unquoted URLs are common.
    fn take_value(&mut self) -> Option<String> {
        self.skip(is_space);
        if self.rest.next_if(|(_, c)| *c == '"').is_some() {
            self.take_quoted()
        } else {
            Some(self.take_while(|c| c != ',' && !is_space(c)).to_owned())
        }
    }

    /// The rest of a quoted string (RFC 9110, section 5.6.4); `None` if it never ends.
    fn take_quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        while let Some((_, c)) = self.rest.next() {
            match c {
                '"' => return Some(value),
                '\\' => value.push(self.rest.next()?.1),
                c => value.push(c),
            }
        }
        None
    }

    /// After a scheme: credentials of the form `token68`, which are of no interest.
    fn skip_token68(&mut self) {
        let mut ahead = self.rest.clone();
        while ahead.next_if(|(_, c)| is_space(*c)).is_some() {}
        let mut length = 0_usize;
        while ahead.next_if(|(_, c)| is_token68(*c)).is_some() {
            length += 1;
        }
        while ahead.next_if(|(_, c)| *c == '=').is_some() {}
        while ahead.next_if(|(_, c)| is_space(*c)).is_some() {}
        if length > 0 && ahead.peek().is_none_or(|(_, c)| *c == ',') {
            self.rest = ahead;
        }
    }

    /// Past what cannot be read: up to the next comma outside quotes.
    fn skip_element(&mut self) {
        while let Some((_, c)) = self.rest.next() {
            match c {
                ',' => return,
                '"' => {
                    self.take_quoted();
                }
                _ => {}
            }
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// `tchar` of RFC 9110, section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_token68(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/".contains(c)
}
