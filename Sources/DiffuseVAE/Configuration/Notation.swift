/// How the values of one type are written: what is allowed, and how it is read and printed.
struct Notation<Value> {
  /// Completes "must be …".
  let allowed: String

  let print: (Value) -> String

  private let reader: Reader
  private typealias Reader = (YAML, _ name: String, _ allowed: String, inout Findings) -> Value?

  /// The value, or nil with a problem that begins with the name.
  func read(_ yaml: YAML, _ name: String, _ findings: inout Findings) -> Value? {
    reader(yaml, name, allowed, &findings)
  }
}

extension Notation {
  /// The notation of a scalar.
  init(
    _ allowed: String, print: @escaping (Value) -> String = { "\($0)" },
    parse: @escaping (_ text: String, _ isPlain: Bool) -> Value?
  ) {
    self.allowed = allowed
    self.print = print
    reader = { yaml, name, allowed, findings in
      switch yaml.content {
      case .refused: return nil
      case .scalar(let text, let isPlain):
        if let value = parse(text, isPlain) { return value }
      case .list, .mapping: break
      }
      findings.report(
        "\(name) must be \(allowed), not \(yaml.summary)", at: yaml.place, about: name)
      return nil
    }
  }

  static func optional<Wrapped>(_ wrapped: Notation<Wrapped>) -> Self where Value == Wrapped? {
    Notation(
      allowed: "\(wrapped.allowed), or null",
      print: { $0.map(wrapped.print) ?? "null" },
      reader: { yaml, name, allowed, findings in
        yaml.isNull
          ? .some(nil) : wrapped.reader(yaml, name, allowed, &findings).map(Optional.some)
      })
  }

  static func list<Element>(
    of element: Notation<Element>, count: ClosedRange<Int>
  ) -> Self where Value == [Element] {
    let (least, most) = (count.lowerBound, count.upperBound)
    let allowed = "a list of \(least == 0 ? "at most " : "\(least)…")\(most) values"
    return Notation(
      allowed: "\(allowed), each \(element.allowed)",
      print: { "[" + $0.map(element.print).joined(separator: ", ") + "]" },
      reader: { yaml, name, _, findings in
        let found: String
        switch yaml.content {
        case .refused:
          return nil
        case .list(let items) where count.contains(items.count):
          let values = items.compactMap { element.read($0, "each of \(name)", &findings) }
          return values.count == items.count ? values : nil
        case .list(let items):
          found = "\(items.count)"
        case .scalar, .mapping:
          found = yaml.summary
        }
        findings.report("\(name) must be \(allowed), not \(found)", at: yaml.place, about: name)
        return nil
      })
  }
}

extension Notation {
  /// A value, or a list of some that are to be tried.
  static func oneOrMore<Element>(
    of element: Notation<Element>, atMost most: Int
  ) -> Self where Value == [Element] {
    let list = Notation.list(of: element, count: 1...most)
    return Notation(
      allowed: "\(element.allowed), or a list of 1…\(most) such",
      print: { $0.count == 1 ? element.print($0[0]) : list.print($0) },
      reader: { yaml, name, allowed, findings in
        if case .list = yaml.content { return list.reader(yaml, name, list.allowed, &findings) }
        return element.reader(yaml, name, allowed, &findings).map { [$0] }
      })
  }
}

extension Notation where Value: FixedWidthInteger {
  /// Decimal digits in their shortest form: 010 is ten to some, and eight to YAML 1.1.
  static func integer(in range: ClosedRange<Value>) -> Self {
    integer("an integer", in: range) { _ in true }
  }

  static func even(in range: ClosedRange<Value>) -> Self {
    integer("an even integer", in: range) { $0.isMultiple(of: 2) }
  }

  static func multiple(of factor: Value, in range: ClosedRange<Value>) -> Self {
    integer("a multiple of \(factor)", in: range) { $0.isMultiple(of: factor) }
  }

  private static func integer(
    _ kind: String, in range: ClosedRange<Value>, where isAllowed: @escaping (Value) -> Bool
  ) -> Self {
    Notation("\(kind) in \(range.lowerBound)…\(range.upperBound)") { text, isPlain in
      guard isPlain, let value = Value(text), "\(value)" == text else { return nil }
      return range.contains(value) && isAllowed(value) ? value : nil
    }
  }
}

extension Notation where Value == Double {
  static func number(in range: ClosedRange<Double>) -> Self {
    number("in \(shortest(range.lowerBound))…\(shortest(range.upperBound))", range.contains)
  }

  static func number(in range: Range<Double>) -> Self {
    number(
      "from \(shortest(range.lowerBound)) to less than \(shortest(range.upperBound))",
      range.contains)
  }

  private static func number(
    _ range: String, _ contains: @escaping (Double) -> Bool
  ) -> Self {
    Notation("a number \(range)", print: shortest) { text, isPlain in
      // Swift also reads nan, infinity and hexadecimal, which have other letters.
      guard isPlain, text.allSatisfy({ "0123456789+-.eE".contains($0) }), let value = Double(text),
        contains(value)
      else { return nil }
      return value
    }
  }

  /// The shortest decimal that reads as the same number.
  private static func shortest(_ number: Double) -> String {
    let text = "\(number)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}

extension Notation where Value == Bool {
  static var boolean: Self {
    Notation("true or false") { text, isPlain in isPlain ? Bool(text) : nil }
  }
}

extension Notation where Value: CaseIterable & RawRepresentable<String> {
  /// One of the names of the cases.
  static var choice: Self {
    let names = Value.allCases.map(\.rawValue)
    return Notation(names.joined(separator: " or "), print: \.rawValue) { text, _ in
      Value(rawValue: text)
    }
  }
}

extension Notation where Value == String {
  /// Any text on one line, with or without quotes.
  static var text: Self {
    Notation("a text", print: quotedIfNeeded) { text, isPlain in
      let isNull = isPlain && YAML.nulls.contains(text)
      let isOneLine = !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
      return !text.isEmpty && !isNull && isOneLine ? text : nil
    }
  }

  /// Plain if surely a text, else in double quotes, with escapes for all but letters and ASCII.
  private static func quotedIfNeeded(_ text: String) -> String {
    let isPlain =
      text.first?.isLetter == true && !YAML.nulls.contains(text)
      && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-./".contains($0)) }
    guard !isPlain else { return text }
    let escaped = text.unicodeScalars.map { scalar in
      switch scalar {
      case "\"", "\\": "\\\(scalar)"
      case " "..."~": "\(scalar)"
      case _ where scalar.properties.isAlphabetic: "\(scalar)"
      // A leading 1 keeps the zeros after it.
      default: "\\U" + String(String(UInt64(scalar.value) + 1 << 32, radix: 16).dropFirst())
      }
    }
    return "\"\(escaped.joined())\""
  }
}
