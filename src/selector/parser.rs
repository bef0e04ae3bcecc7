//! From words to a tree, with the place of the fault where there is no tree. The depth of the tree is bounded.

use super::MAX_NESTING;
use super::fault::{Fault, FaultKind};
use super::lexer::{Lexer, MINUS_MIN, Token, Word};
use super::like::Pattern;
use super::tree::{Comparison, Condition, Literal, Name, Operand, Scale, Sign};

/// The tree of a selector.
pub fn parse(text: &str) -> Result<Condition<Name>, Fault> {
    let mut parser = Parser::new(text)?;
    let condition = parser.condition(Level::Or)?;
    match parser.token {
        Token::End => Ok(condition),
        _ => Err(parser.unexpected("AND, OR or the end")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    /// Where the token begins.
    at: usize,
    /// Whether the token before this one is a name.
    after_name: bool,
    nesting: usize,
}

/// A part of the tree; only in parentheses it is not clear what it is before it was read.
enum Part {
    Condition(Condition<Name>),
    Operand(Operand<Name>),
}

/// What binds weaker than what follows it here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Predicate,
    Sum,
    Product,
    Factor,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Fault> {
        let mut lexer = Lexer::new(text)?;
        let (token, at) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            at,
            after_name: false,
            nesting: 0,
        })
    }

    fn fault(&self, kind: FaultKind) -> Fault {
        self.lexer.fault(kind, self.at)
    }

    fn unexpected(&self, wanted: &'static str) -> Fault {
        if self.after_name && self.token == Token::Symbol("(") {
            return self.fault(FaultKind::Function);
        }
        self.fault(FaultKind::Unexpected {
            found: show(&self.token),
            wanted,
        })
    }

    fn advance(&mut self) -> Result<Token, Fault> {
        let (next, at) = self.lexer.next()?;
        self.at = at;
        let token = std::mem::replace(&mut self.token, next);
        self.after_name = matches!(token, Token::Name(_));
        Ok(token)
    }

    fn take(&mut self, token: &Token) -> Result<bool, Fault> {
        let found = self.token == *token;
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn take_word(&mut self, word: Word) -> Result<bool, Fault> {
        self.take(&Token::Word(word))
    }

    fn expect(&mut self, token: &Token, wanted: &'static str) -> Result<(), Fault> {
        match self.take(token)? {
            true => Ok(()),
            false => Err(self.unexpected(wanted)),
        }
    }

    /// Reads one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.nesting == MAX_NESTING {
            return Err(self.fault(FaultKind::TooDeep));
        }
        self.nesting += 1;
        let result = read(self);
        self.nesting -= 1;
        result
    }

    fn condition(&mut self, level: Level) -> Result<Condition<Name>, Fault> {
        let begin = self.at;
        let part = self.part(level)?;
        self.as_condition(part, begin)
    }

    fn operand(&mut self, level: Level) -> Result<Operand<Name>, Fault> {
        match self.part(level)? {
            Part::Operand(operand) => Ok(operand),
            Part::Condition(_) => Err(self.unexpected("a value")),
        }
    }

    /// What binds at least as strongly as `level`.
    fn part(&mut self, level: Level) -> Result<Part, Fault> {
        let begin = self.at;
        let mut part = self.first(level)?;
        while self.operator_level().is_some_and(|operator| level <= operator) {
            part = self.goes_on(part, begin)?;
        }
        Ok(part)
    }

    /// How strongly the operator binds that comes next.
    fn operator_level(&self) -> Option<Level> {
        match &self.token {
            Token::Symbol("*" | "/") => Some(Level::Product),
            Token::Symbol("+" | "-") => Some(Level::Sum),
            Token::Symbol("=" | "<>" | "<" | "<=" | ">" | ">=") => Some(Level::Predicate),
            Token::Word(Word::Not | Word::Between | Word::In | Word::Like | Word::Is) => Some(Level::Predicate),
            Token::Word(Word::And) => Some(Level::And),
            Token::Word(Word::Or) => Some(Level::Or),
            _ => None,
        }
    }

    /// What begins with a part and goes on with the operator that comes next.
    fn goes_on(&mut self, part: Part, begin: usize) -> Result<Part, Fault> {
        match &self.token {
            Token::Symbol("*" | "/") => {
                let first = Box::new(self.as_number(part, begin)?);
                Ok(Part::Operand(Operand::Product(first, self.factors()?)))
            }
            Token::Symbol("+" | "-") => {
                let first = Box::new(self.as_number(part, begin)?);
                Ok(Part::Operand(Operand::Sum(first, self.summands()?)))
            }
            Token::Symbol(_) => self.comparison(part, begin).map(Part::Condition),
            Token::Word(Word::And) => {
                let list = vec![self.as_condition(part, begin)?];
                Ok(Part::Condition(Condition::And(self.list(
                    list,
                    Word::And,
                    Level::Not,
                )?)))
            }
            Token::Word(Word::Or) => {
                let list = vec![self.as_condition(part, begin)?];
                Ok(Part::Condition(Condition::Or(self.list(list, Word::Or, Level::And)?)))
            }
            _ => self.predicate(part).map(Part::Condition),
        }
    }

    fn first(&mut self, level: Level) -> Result<Part, Fault> {
        if level <= Level::Not && self.take_word(Word::Not)? {
            let inner = self.deeper(|parser| parser.condition(Level::Not))?;
            return Ok(Part::Condition(Condition::Not(Box::new(inner))));
        }
        match self.token {
            Token::Symbol("(") => self.parenthesis(),
            Token::Symbol("-") => self.signed(Sign::Minus).map(Part::Operand),
            Token::Symbol("+") => self.signed(Sign::Plus).map(Part::Operand),
            Token::Word(Word::Null) => Err(self.fault(FaultKind::Null)),
            _ => self.atom().map(Part::Operand),
        }
    }

    fn parenthesis(&mut self) -> Result<Part, Fault> {
        let begin = self.at;
        self.advance()?;
        let part = self.deeper(|parser| parser.part(Level::Or))?;
        if self.token == Token::End {
            let wanted = "the ) of the parenthesis that begins here";
            let found = "the end".into();
            return Err(self.lexer.fault(FaultKind::Unexpected { found, wanted }, begin));
        }
        self.expect(&Token::Symbol(")"), ") or an operator")?;
        Ok(part)
    }

    fn signed(&mut self, sign: Sign) -> Result<Operand<Name>, Fault> {
        self.advance()?;
        if sign == Sign::Minus && self.token == Token::Integer(MINUS_MIN) {
            self.advance()?;
            return Ok(Operand::Literal(Literal::Integer(i64::MIN)));
        }
        let begin = self.at;
        let part = self.deeper(|parser| parser.part(Level::Factor))?;
        let operand = self.as_number(part, begin)?;
        Ok(match (sign, operand) {
            (Sign::Plus, literal @ Operand::Literal(_)) => literal,
            (Sign::Minus, Operand::Literal(Literal::Integer(number))) => Operand::Literal(match number.checked_neg() {
                Some(number) => Literal::Integer(number),
                None => Literal::Float(-(number as f64)),
            }),
            (Sign::Minus, Operand::Literal(Literal::Float(number))) => Operand::Literal(Literal::Float(-number)),
            (sign, operand) => Operand::Signed(sign, Box::new(operand)),
        })
    }

    fn atom(&mut self) -> Result<Operand<Name>, Fault> {
        let literal = match &self.token {
            Token::Integer(number) => match i64::try_from(*number) {
                Ok(number) => Literal::Integer(number),
                Err(_) => return Err(self.fault(FaultKind::OutOfRange)),
            },
            Token::Float(number) => Literal::Float(*number),
            Token::Word(Word::True) => Literal::Bool(true),
            Token::Word(Word::False) => Literal::Bool(false),
            Token::Text(_) | Token::Name(_) => {
                return Ok(match self.advance()? {
                    Token::Name(name) => Operand::Name(name),
                    Token::Text(text) => Operand::Literal(Literal::Text(text)),
                    _ => return Err(self.unexpected("a value")),
                });
            }
            _ => return Err(self.unexpected("a name, a value or a parenthesis")),
        };
        self.advance()?;
        Ok(Operand::Literal(literal))
    }

    fn list(
        &mut self,
        mut list: Vec<Condition<Name>>,
        word: Word,
        level: Level,
    ) -> Result<Vec<Condition<Name>>, Fault> {
        while self.take_word(word)? {
            list.push(self.condition(level)?);
        }
        Ok(list)
    }

    fn summands(&mut self) -> Result<Vec<(Sign, Operand<Name>)>, Fault> {
        let mut list = Vec::new();
        loop {
            let sign = match self.token {
                Token::Symbol("+") => Sign::Plus,
                Token::Symbol("-") => Sign::Minus,
                _ => return Ok(list),
            };
            self.advance()?;
            let begin = self.at;
            let part = self.part(Level::Product)?;
            list.push((sign, self.as_number(part, begin)?));
        }
    }

    fn factors(&mut self) -> Result<Vec<(Scale, Operand<Name>)>, Fault> {
        let mut list = Vec::new();
        loop {
            let scale = match self.token {
                Token::Symbol("*") => Scale::Times,
                Token::Symbol("/") => Scale::Over,
                _ => return Ok(list),
            };
            self.advance()?;
            let begin = self.at;
            let part = self.part(Level::Factor)?;
            list.push((scale, self.as_number(part, begin)?));
        }
    }

    fn comparison(&mut self, left: Part, begin: usize) -> Result<Condition<Name>, Fault> {
        let comparison = match self.token {
            Token::Symbol("=") => Comparison::Equal,
            Token::Symbol("<>") => Comparison::NotEqual,
            Token::Symbol("<") => Comparison::Less,
            Token::Symbol("<=") => Comparison::LessOrEqual,
            Token::Symbol(">") => Comparison::Greater,
            _ => Comparison::GreaterOrEqual,
        };
        let left = match left {
            Part::Operand(operand) => operand,
            Part::Condition(_) if self.lexer.text(begin).starts_with('(') => {
                return Err(self.fault(FaultKind::ComparedCondition));
            }
            Part::Condition(_) => return Err(self.fault(FaultKind::Chained)),
        };
        let operator_at = self.at;
        self.advance()?;
        let right_at = self.at;
        let right = match self.part(Level::Sum)? {
            Part::Operand(operand) => operand,
            Part::Condition(_) => return Err(self.lexer.fault(FaultKind::ComparedCondition, right_at)),
        };
        if comparison.is_ordering() && (is_unordered(&left) || is_unordered(&right)) {
            return Err(self.lexer.fault(FaultKind::Ordering, operator_at));
        }
        Ok(Condition::Compare(comparison, left, right))
    }

    /// BETWEEN, IN, LIKE and IS, with NOT before the first three.
    fn predicate(&mut self, left: Part) -> Result<Condition<Name>, Fault> {
        let negated = self.take_word(Word::Not)?;
        let begin = self.at;
        let word = match self.token {
            Token::Word(word @ (Word::Between | Word::In | Word::Like)) => word,
            Token::Word(Word::Is) if !negated => Word::Is,
            _ => return Err(self.unexpected("BETWEEN, IN or LIKE")),
        };
        let Part::Operand(operand) = left else {
            return Err(self.fault(FaultKind::Chained));
        };
        self.advance()?;
        if word == Word::Between {
            return self.between(operand, negated, begin);
        }
        let Operand::Name(name) = operand else {
            return Err(self.lexer.fault(FaultKind::NameBefore(word.text()), begin));
        };
        match word {
            Word::In => Ok(Condition::In {
                name,
                items: self.items()?,
                negated,
            }),
            Word::Like => Ok(Condition::Like {
                name,
                pattern: self.pattern()?,
                negated,
            }),
            _ => {
                let negated = self.take_word(Word::Not)?;
                self.expect(&Token::Word(Word::Null), "NULL or NOT NULL")?;
                Ok(Condition::IsNull { name, negated })
            }
        }
    }

    fn between(&mut self, operand: Operand<Name>, negated: bool, begin: usize) -> Result<Condition<Name>, Fault> {
        let low = self.operand(Level::Sum)?;
        self.expect(&Token::Word(Word::And), "AND and the upper bound")?;
        let high = self.operand(Level::Sum)?;
        if [&operand, &low, &high].into_iter().any(is_unordered) {
            return Err(self.lexer.fault(FaultKind::Ordering, begin));
        }
        Ok(Condition::Between {
            operand,
            low,
            high,
            negated,
        })
    }

    fn items(&mut self) -> Result<Vec<Literal>, Fault> {
        self.expect(&Token::Symbol("("), "( and the list")?;
        if self.token == Token::Symbol(")") {
            return Err(self.fault(FaultKind::EmptyList));
        }
        let mut items = Vec::new();
        loop {
            items.push(self.item()?);
            if !self.take(&Token::Symbol(","))? {
                self.expect(&Token::Symbol(")"), ", or )")?;
                return Ok(items);
            }
        }
    }

    fn item(&mut self) -> Result<Literal, Fault> {
        let begin = self.at;
        let literal = match self.token {
            Token::Text(_) | Token::Integer(_) | Token::Float(_) => self.atom()?,
            Token::Symbol("-") => self.signed(Sign::Minus)?,
            Token::Symbol("+") => self.signed(Sign::Plus)?,
            _ => return Err(self.unexpected("a string or a number")),
        };
        match literal {
            Operand::Literal(literal) => Ok(literal),
            _ => Err(self.lexer.fault(
                FaultKind::Unexpected {
                    found: "a name".into(),
                    wanted: "a string or a number",
                },
                begin,
            )),
        }
    }

    fn pattern(&mut self) -> Result<Pattern, Fault> {
        let begin = self.at;
        let text = self.string("a pattern in single quotes")?;
        let mut escape = None;
        if self.take_word(Word::Escape)? {
            let at = self.at;
            let character = self.string("one character in single quotes")?;
            let mut chars = character.chars();
            escape = chars.next();
            if escape.is_none() || chars.next().is_some() {
                return Err(self.lexer.fault(FaultKind::Escape, at));
            }
        }
        Pattern::parse(&text, escape).map_err(|kind| self.lexer.fault(kind, begin))
    }

    fn string(&mut self, wanted: &'static str) -> Result<String, Fault> {
        if !matches!(self.token, Token::Text(_)) {
            return Err(self.unexpected(wanted));
        }
        match self.advance()? {
            Token::Text(text) => Ok(text),
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn as_condition(&self, part: Part, begin: usize) -> Result<Condition<Name>, Fault> {
        match part {
            Part::Condition(condition) => Ok(condition),
            Part::Operand(Operand::Name(_)) if self.token == Token::Symbol("(") => Err(self.fault(FaultKind::Function)),
            Part::Operand(Operand::Name(name)) => Ok(Condition::Name(name)),
            Part::Operand(Operand::Literal(Literal::Bool(always))) => Ok(Condition::Always(always)),
            Part::Operand(_) => Err(self.lexer.fault(FaultKind::NoCondition, begin)),
        }
    }

    /// What can be calculated with.
    fn as_number(&self, part: Part, begin: usize) -> Result<Operand<Name>, Fault> {
        match part {
            Part::Operand(operand) if !is_unordered(&operand) => Ok(operand),
            _ => Err(self.lexer.fault(FaultKind::Arithmetic, begin)),
        }
    }
}

/// Whether it is a string or a boolean for sure.
fn is_unordered<N>(operand: &Operand<N>) -> bool {
    matches!(operand, Operand::Literal(Literal::Text(_) | Literal::Bool(_)))
}

fn show(token: &Token) -> String {
    match token {
        Token::Name(_) => "a name".into(),
        Token::Word(word) => word.text().into(),
        Token::Text(_) => "a string".into(),
        Token::Integer(_) | Token::Float(_) => "a number".into(),
        Token::Symbol(symbol) => (*symbol).into(),
        Token::End => "the end".into(),
    }
}
