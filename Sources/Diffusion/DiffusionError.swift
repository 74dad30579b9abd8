/// A setting that lies outside its range.
public struct DiffusionError: Error, Equatable, CustomStringConvertible {
  /// One sentence that names the setting, its range and the value found.
  public let description: String
}

/// Throws unless `value` lies in `range`; a NaN lies in none.
func check<Value: Comparable>(
  _ name: String, _ value: Value, in range: ClosedRange<Value>
) throws(DiffusionError) {
  guard range.contains(value) else {
    throw DiffusionError(
      description: "\(name) must lie in \(range.lowerBound)...\(range.upperBound), not \(value).")
  }
}
