import Testing

/// Fails unless `found` is within `tolerance` of `expected`, and shows both.
func expect(
  _ what: String, _ found: Double, is expected: Double, within tolerance: Double,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(
    abs(found - expected) <= tolerance,
    "\(what): expected \(expected) within \(tolerance), found \(found)",
    sourceLocation: sourceLocation)
}

/// Fails unless the vectors agree within `tolerance` in every element, and shows the worst.
func expect(
  _ what: String, _ found: [Double], is expected: [Double], within tolerance: Double,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(found.count == expected.count, "\(what): elements", sourceLocation: sourceLocation)
  // `!(<=)` rather than `>` so that a NaN counts as a difference.
  let differing = zip(found, expected).enumerated().first { !(abs($1.0 - $1.1) <= tolerance) }
  guard let (i, (found, expected)) = differing else { return }
  Issue.record(
    "\(what)[\(i)]: expected \(expected) within \(tolerance), found \(found)",
    sourceLocation: sourceLocation)
}
