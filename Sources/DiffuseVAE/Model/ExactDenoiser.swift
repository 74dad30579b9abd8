import Diffusion
import Neural

/// In place of a network, the exact denoiser of a ``TestBed``: E[x0|x_t], as the target that is asked
/// for. It has no weights; training it shows what loss no network can go below.
struct ExactDenoiser: ConfiguredDenoiser {
  /// It and the schedule are there in a configuration that keeps the rules; without them all answers
  /// are NaN.
  private let data: KnownData?
  private let schedule: NoiseSchedule?
  private let axes: Matrix?
  private let target: PredictionTarget

  init(_ configuration: Configuration, shape: ImageShape) {
    let (diffusion, set) = (configuration.diffusion, TestBed(rawValue: configuration.data.set))
    (data, axes) = (set?.data, set?.axes)
    schedule = try? DiffusionProcess(diffusion).schedule
    target = diffusion.target
  }

  func forward(
    _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
  ) -> (output: Matrix, residuals: Int) {
    (answer(x, timesteps).output, 0)
  }

  func vectorJacobianProduct(
    _ v: Matrix, at x: Matrix, condition: Condition, timestep: Double
  ) -> (output: Matrix, product: Matrix) {
    let (output, product) = answer(x, [Double](repeating: timestep, count: x.rows), v)
    return (output, product ?? v)
  }

  func backward(_ dOutput: Matrix, _ residuals: Int, _ gradients: inout Gradients) {}

  func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) {}

  /// The output for every row, and its derivative along the rows of `v`.
  private func answer(
    _ x: Matrix, _ times: [Double], _ v: Matrix? = nil
  ) -> (output: Matrix, product: Matrix?) {
    let nothing = Matrix(x.rows, x.columns, fill: .nan)
    guard let data, let schedule else { return (nothing, nothing) }
    func turned(_ x: Matrix) -> Matrix { axes.map { x * $0.transposed } ?? x }
    func back(_ y: Matrix) -> Matrix { axes.map { y * $0 } ?? y }
    let (x, v) = (turned(x), v.map(turned))
    var outputs: [Float] = []
    var products: [Float] = []
    for (row, time) in times.enumerated() {
      let level = schedule.level(timestep: time)
      let recovery = target.recovery(at: level)
      /// x0 = a x + b output, and so are the derivatives.
      func output(_ x0: [Double], _ x: [Double]) -> [Float] {
        zip(x0, x).map { Float(($0 - recovery.x * $1) / recovery.output) }
      }
      let sample = x.numbers(row)
      let posterior = data.posterior(of: sample, at: level)
      outputs += output(posterior.mean, sample)
      guard let v = v?.numbers(row) else { continue }
      products += output(posterior.derivative(times: v), v)
    }
    func matrix(_ elements: [Float]) -> Matrix { back(Matrix(x.rows, x.columns, elements)) }
    return (matrix(outputs), v == nil ? nil : matrix(products))
  }
}
