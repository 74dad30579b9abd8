/// A YAML value and where it stands: the part of YAML that a table of settings needs.
struct YAML {
  enum Content {
    /// `plain` if written without quotes: only then may it be a number, a boolean or null.
    case scalar(String, plain: Bool)
    case list([YAML])
    /// In the order of the text, each key as often as it is written.
    case mapping([(key: String, place: Place, value: YAML)])
    /// Something about which a problem has already been reported.
    case refused
  }

  var content: Content
  var place: Place

  static let nulls = ["", "~", "null", "Null", "NULL"]

  var isNull: Bool {
    if case .scalar(let text, plain: true) = content { Self.nulls.contains(text) } else { false }
  }

  /// The value as it may stand in a message.
  var summary: String {
    switch content {
    case .scalar("", plain: true): "nothing"
    case .scalar(let text, plain: true) where !text.contains("\n"): text.shortened
    case .scalar(let text, _): text.shortened.debugDescription
    case .list: "a list"
    case .mapping: "a mapping"
    case .refused: "this"
    }
  }
}

extension String {
  /// The beginning, if there is more than fits into a message.
  var shortened: String { count > 40 ? prefix(40) + "…" : self }

  /// Itself if it could be a key, else in quotes, with what is unprintable escaped.
  var asKey: String {
    let isWord = !isEmpty && allSatisfy { $0.isLetter || $0.isNumber || "_-".contains($0) }
    return isWord ? shortened : shortened.debugDescription
  }
}
