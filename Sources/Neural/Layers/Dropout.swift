/// Inverted dropout (Srivastava et al. 2014, §10): in training every number becomes zero with
/// probability `rate` and is otherwise divided by 1 - `rate`, so that its expectation stays.
///
/// What is dropped is addressed by the example, not by its place in a slice. It is drawn anew for
/// `backward`, so that no mask is kept.
public struct Dropout: Sendable {
  let rate: Float
  let scale: Float  // 1/(1 - rate)
  let stream: RandomStream
  let rows: [Int]  // the address of every example's mask

  /// Nil, for no dropout, at a rate of 0.
  ///
  /// - Parameters:
  ///   - rate: In 0..<1.
  ///   - rows: the addresses of the examples in a batch.
  public init?(rate: Double, _ stream: RandomStream, rows: some Collection<Int>) {
    precondition(0 <= rate && rate < 1, "a rate of \(rate) is not in 0..<1")
    guard rate > 0 else { return nil }
    self.rate = Float(rate)
    scale = Float(1 / (1 - rate))
    self.stream = stream
    self.rows = Array(rows)
  }

  /// Masks of its own for each of `count` layers.
  public func layer(_ index: Int, of count: Int) -> Dropout {
    precondition((0..<count).contains(index), "layer \(index) of \(count)")
    return Dropout(self, rows: rows.map { $0 * count + index })
  }

  private init(_ other: Dropout, rows: [Int]) {
    (rate, scale, stream) = (other.rate, other.scale, other.stream)
    self.rows = rows
  }

  /// Multiplies by the masks: x in `forward`, and in `backward` the derivative by what came out.
  ///
  /// - Parameter x: `[batch, features]`, or maps, `[batch·height·width, channels]`.
  public func apply(to x: inout Matrix) {
    let size = x.elements.count / max(rows.count, 1)
    precondition(size * rows.count == x.elements.count, "\(rows.count) examples of one size")
    let (rate, scale) = (rate, scale)
    var x = x.elements.mutableSpan
    for (example, row) in rows.enumerated() {
      let uniform = stream.uniform(rows: CollectionOfOne(row), columns: size)
      let u = uniform.elements.span
      let start = example * size
      for i in 0..<size { x[start + i] *= u[i] < rate ? 0 : scale }
    }
  }
}
