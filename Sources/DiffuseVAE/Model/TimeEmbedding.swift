import Neural
import RealModule

/// Turns a timestep into features: sinusoids (Vaswani et al. 2017, §3.5; Ho et al. 2020), then two
/// linear layers with SiLU after each.
struct TimeEmbedding: Parameterized {
  var layers: MLP
  let table: Matrix  // [timesteps, features]: first the cosines, then the sines
  private let frequencies: [Double]  // half as many: 10000^(-k/half)
  let width: Int  // of the embedding

  struct Residuals: Sendable {
    let mlp: MLP.Residuals
    let sum: Matrix  // before the last SiLU
  }

  /// - Parameters:
  ///   - timesteps: T; t is in 0…T-1.
  ///   - features: number of sinusoids, even.
  ///   - width: of the embedding.
  init(timesteps: Int, features: Int, width: Int, _ source: inout ParameterSource) {
    layers = MLP([features, width, width], &source)
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

  /// The embedding of one time, which may lie between two timesteps, for every row.
  func callAsFunction(_ timestep: Double, rows: Int) -> Matrix {
    forward(timestep, rows: rows).e
  }

  /// The same.
  ///
  /// - Returns: `[rows, width]`
  func forward(_ timestep: Double, rows: Int) -> (e: Matrix, residuals: Residuals) {
    let features = Self.sinusoids(timestep, frequencies)
    return forward(Matrix(rows, features.count, (0..<rows).flatMap { _ in features }))
  }

  /// - Returns: `[timesteps.count, width]`
  func forward(_ timesteps: [Int]) -> (e: Matrix, residuals: Residuals) {
    forward(table.rows(at: timesteps))
  }

  private func forward(_ features: Matrix) -> (e: Matrix, residuals: Residuals) {
    let (sum, residuals) = layers.forward(features)
    return (SiLU()(sum), Residuals(mlp: residuals, sum: sum))
  }

  func backward(_ de: Matrix, _ residuals: Residuals, _ gradients: inout Gradients) {
    let dSum = SiLU().backward(de, residuals.sum, &gradients)
    layers.backwardFromData(dSum, residuals.mlp, &gradients)
  }

  mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try layers.visit(path, body)
  }
}
