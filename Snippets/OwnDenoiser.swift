// Write a denoiser: a network of your own, trained as the second stage. (swift run OwnDenoiser)
import DiffuseVAE
import Foundation
import Neural

/// Linear layers of the noisy image and the time. With a first stage, x̂0 would be `condition.image`.
struct PlainDenoiser: Denoiser {
  var layers: MLP

  init(pixels: Int) {
    var source = ParameterSource(seed: 0)  // Numbers the parameters, and draws their first values.
    layers = MLP([pixels + 8, 256, 256, pixels], &source)
  }

  /// The time, 0...T-1, is seen as waves of several lengths.
  func inputs(_ x: Matrix, _ timesteps: [Double]) -> Matrix {
    let angles = timesteps.flatMap { t in [1, 2, 4, 8].map { $0 * Float(t) / 1000 } }
    return x.joined(Matrix(x.rows, 8, angles.flatMap { [cos($0), sin($0)] }))
  }

  func forward(_ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?)
    -> (output: Matrix, residuals: MLP.Residuals)
  {
    let (output, residuals) = layers.forward(inputs(x, timesteps))
    return (output, residuals)  // The second is what `backward` needs.
  }

  func backward(_ dOutput: Matrix, _ residuals: MLP.Residuals, _ gradients: inout Gradients) {
    layers.backwardFromData(dOutput, residuals, &gradients)
  }

  /// vᵀ ∂output/∂x, which likelihoods ask for.
  func vectorJacobianProduct(
    _ v: Matrix, at x: Matrix, condition: Condition, timestep: Double
  ) -> (output: Matrix, product: Matrix) {
    let (y, residuals) = layers.forward(inputs(x, Array(repeating: timestep, count: x.rows)))
    var unused = Gradients(of: self)
    return (y, layers.backward(v, residuals, &unused).columns(0..<x.columns))
  }

  mutating func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) rethrows {
    try layers.visit(path + ".layers", body)  // In the order of their making.
  }
}

let configuration = try Configuration(  // Of the built-in digits, 8 by 8, without a first stage.
  yaml: "{diffusion: {formulation: none}, training: {denoiser: {epochs: 120}}}", name: "here")
let (data, threads) = (try Dataset(configuration.data), Session.cores)
var loss = 0.0  // A running mean.
let model = try Model(
  training: PlainDenoiser(pixels: data.shape.count), configuration, on: data, threads: threads
) { step, value in loss += (value - loss) / Double(min(step, 100)) }
let generator = try Generator(model, SamplingOptions(configuration.sampling, threads: threads))
let drawn = try generator.images(0..<256).addingRows(256).affine(1 / 256, 0)
let real = data.trainingPixels(0..<1500).addingRows(1500).affine(1 / 1500, 0)
let difference = zip(drawn.elements, real.elements).reduce(0) { $0 + abs($1.0 - $1.1) } / 64
// To answer the mean digit, whatever is asked, has a loss of 0.293, the variance of pixels.
print("loss \(loss); the mean images of digits and of samples differ by \(difference)")
guard loss < 0.2, difference < 0.06 else { exit(1) }
