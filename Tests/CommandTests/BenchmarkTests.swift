import Foundation
import Testing

@Suite struct BenchmarkTests {
  @Test("Every network is measured", arguments: ["vae", "mlp", "unet"])
  func smoke(net: String) throws {
    let place = try Place()
    defer { place.remove() }
    let sizes = [
      "vae.hidden=[16]", "vae.latent=4", "denoiser.width=16", "denoiser.blocks=1",
      "denoiser.channels=[8,16]", "diffusion.steps=20", "sampling.steps=2",
    ].flatMap { ["--set", $0] }
    let small = ["--net", net, "--batch", "8", "--updates", "2", "--threads", "3"] + sizes
    let text = try place.run("diffusevae-benchmark", small)
    #expect(text.status == 0 && text.output.hasPrefix("\(net): "), "\(text.errors)")
    #expect(text.output.contains("sampling") == (net != "vae"))

    let json = try place.run("diffusevae-benchmark", small + ["--json"])
    let result = try #require(
      try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    let training = try #require(result["training"] as? [String: Any])
    let times = try #require(training["milliseconds"] as? [Double])
    #expect(times.count == 2 && times.allSatisfy { $0 > 0 } && times == times.sorted())
    let shares = try #require(training["shares"] as? [String: Double])
    #expect(shares.values.allSatisfy { $0 > 0 } && shares.values.reduce(0, +) < 1)
    #expect(try #require(training["allocated_bytes"] as? Double) > 0)
    #expect(try #require(training["product_milliseconds"] as? Double) > 0)
    let sampling = result["sampling"] as? [String: Any]
    #expect((sampling?["rates"] as? [Double])?.count == (net == "vae" ? nil : 3))
  }

  @Test(
    "A training takes as much memory as expected, within 15 %",
    arguments: [
      ["--net", "vae", "--batch", "512"],
      ["--net", "mlp", "--batch", "256", "--set", "denoiser.blocks=2"],
      ["--net", "vae", "--batch", "2048"],
      ["--net", "mlp", "--batch", "512", "--lanes", "8", "--set", "denoiser.blocks=2"],
      ["--net", "unet", "--batch", "96"],
      ["--net", "unet", "--batch", "48", "--lanes", "16", "--set", "denoiser.channels=[64,128]"],
      ["--net", "unet", "--batch", "33", "--lanes", "3", "--set", "denoiser.channels=[64,24]"],
    ])
  func memory(arguments: [String]) throws {
    let place = try Place()
    defer { place.remove() }
    let result = try place.run(
      "diffusevae-benchmark",
      arguments + ["--updates", "1", "--threads", "2", "--json"]
        + ["--set", "sampling.steps=1"])
    #expect(result.status == 0, "\(result.errors)")
    let json = try #require(
      try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    let expected = try #require(json["estimated_bytes"] as? Double)
    let training = try #require(json["training"] as? [String: Any])
    let peak = try #require(training["peak_bytes"] as? Double)
    #expect(abs(peak / expected - 1) < 0.15, "\(peak / 1e6) MB, expected \(expected / 1e6) MB")
  }

  @Test("What cannot be measured is refused")
  func mistakes() throws {
    let place = try Place()
    defer { place.remove() }
    for arguments in [
      ["--updates", "0"], ["--batch", "0"], ["--lanes", "0"], ["--threads", "0"],
      ["--batch", "16", "--lanes", "3"],
      ["--set", "denoiser.channels=[8,8,8,8]"], ["--image", "28x28"], ["--image", "0x1x1"],
      ["--image", "65536x65536x4"], ["--image", "1024x1024x1", "--batch", "65536"],
      ["--image", "30x30x1"], ["--image", "30x30x1", "--export", "."],
    ] {
      let result = try place.run("diffusevae-benchmark", ["--net", "unet"] + arguments)
      #expect(result.status != 0 && !result.crashed && result.output.isEmpty, "\(arguments)")
      #expect(!result.errors.isEmpty)
    }
  }
}
