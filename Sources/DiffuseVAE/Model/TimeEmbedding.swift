import Neural
import RealModule

/// Turns a timestep into features: sinusoids (Vaswani et al. 2017, §3.5; Ho et al. 2020), then two
/// linear layers with SiLU after each. What else is to steer the network joins before the last SiLU,
/// by a linear layer of its own.
struct TimeEmbedding: Parameterized {
  var layers: MLP
  var condition: Linear?  // if there is anything else
  let table: Matrix  // [timesteps, features]: first the cosines, then the sines
  private let frequencies: [Double]  // half as many: 10000^(-k/half)
  let width: Int  // of the embedding

  struct Residuals: Sendable {
    let mlp: MLP.Residuals
    let features: Matrix?
    let sum: Matrix  // before the last SiLU
  }

  /// - Parameters:
  ///   - timesteps: T; t is in 0…T-1.
  ///   - features: number of sinusoids, even.
  ///   - condition: numbers that join.
  ///   - width: of the embedding.
  init(
    timesteps: Int, features: Int, condition: Int, width: Int, _ source: inout ParameterSource
  ) {
    layers = MLP([features, width, width], &source)
    self.condition = condition > 0 ? Linear(condition, width, &source) : nil
    self.width = width
    let half = features / 2
    let frequencies = (0..<half).map { Double.pow(10_000, -Double($0) / Double(half)) }
    self.frequencies = frequencies
    table = Matrix(
      timesteps, features,
      (0..<timesteps).flatMap { Self.sinusoids(Double($0), frequencies) })
  }

  private static func sinusoids(_ t: Double, _ frequencies: [Double]) -> [Float] {
    frequencies.map { Float(Double.cos(t * $0)) } + frequencies.map { Float(Double.sin(t * $0)) }
  }

  /// The embedding of one time for every row.
  ///
  /// - Parameter condition: `[rows, condition]`
  func callAsFunction(_ timestep: Double, rows: Int, _ condition: Matrix?) -> Matrix {
    forward([Double](repeating: timestep, count: rows), condition).e
  }

  /// - Parameter timesteps: one for each row; they may lie between two.
  /// - Returns: `[timesteps.count, width]`
  func forward(_ timesteps: [Double], _ condition: Matrix?) -> (e: Matrix, residuals: Residuals) {
    forward(features(timesteps), condition)
  }

  /// - Returns: `[timesteps.count, features]`, from the table if they are all in it.
  private func features(_ timesteps: [Double]) -> Matrix {
    let places = timesteps.compactMap { Int(exactly: $0) }.filter { $0 >= 0 && $0 < table.rows }
    guard places.count < timesteps.count else { return table.rows(at: places) }
    return Matrix(
      timesteps.count, table.columns,
      timesteps.flatMap { Self.sinusoids($0, frequencies) })
  }

  private func forward(
    _ features: Matrix, _ seen: Matrix?
  ) -> (e: Matrix, residuals: Residuals) {
    var (sum, residuals) = layers.forward(features)
    if let condition, let seen { sum.add(condition(seen)) }
    return (SiLU()(sum), Residuals(mlp: residuals, features: seen, sum: sum))
  }

  func backward(_ de: Matrix, _ residuals: Residuals, _ gradients: inout Gradients) {
    let dSum = SiLU().backward(de, residuals.sum, &gradients)
    if let condition, let seen = residuals.features {
      condition.backwardFromData(dSum, seen, &gradients)
    }
    layers.backwardFromData(dSum, residuals.mlp, &gradients)
  }

  mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try layers.visit(path, body)
    try condition?.visit(path + ".condition", body)
  }
}
