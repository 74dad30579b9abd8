import Testing

@testable import DiffuseVAE

@Suite struct ConfigurationErrorTests {
  static let vaeNames =
    "hidden, activation, latent, likelihood, beta, binarise, beta_warmup, free_bits, samples, objective, "
    + "classes, upper_latents, upper_hidden"

  // MARK: Names

  @Test func unknownSettings() {
    #expect(
      problems("vae:\n  latent: 3\n  latnt: 5") == [
        "a.yaml:3:3: vae.latnt is not a setting; did you mean latent?"
      ])
    #expect(problems("vea: {}") == ["a.yaml:1:1: vea is not a setting; did you mean vae?"])
    #expect(
      problems("training: {vae: {weightDecay: 0}}") == [
        "a.yaml:1:18: training.vae.weightDecay is not a setting; did you mean weight_decay?"
      ])
    #expect(
      problems("vae: {colour: 0}") == [
        "a.yaml:1:7: vae.colour is not a setting; there are \(Self.vaeNames)"
      ])
    #expect(
      problems("{5: a, true: b, \"\": c, \"e\\n\": d, Größe: e}")
        == [
          "5", "true", "\"\"", "\"e\\n\"", "Größe",
        ].enumerated().map { index, key in
          "a.yaml:1:\([2, 8, 17, 24, 34][index]): \(key) is not a setting; "
            + "there are data, vae, prior, diffusion, denoiser, consistency, training, sampling"
        })
  }

  @Test func distances() {
    #expect(editDistance("", "") == 0)
    #expect(editDistance("", "abc") == 3)
    #expect(editDistance("abc", "") == 3)
    #expect(editDistance("kitten", "sitting") == 3)
    #expect(editDistance("latnet", "latent") == 1)
    #expect(editDistance("ca", "abc") == 3)  // a letter is not changed twice
    #expect(nearest(to: "batches", among: ["batch", "rate"]) == "batch")
    #expect(nearest(to: "x", among: ["batch", "rate"]) == nil)
    #expect(nearest(to: "x", among: []) == nil)
  }

  @Test func repeatedSettings() {
    #expect(
      problems("vae: {latent: 1}\ndata: {set: a}\nvae: {latent: 2, latent: 0, 'latent': 3}") == [
        "a.yaml:3:1: vae is given twice, first at a.yaml:1:1",
        "a.yaml:3:18: vae.latent is given twice, first at a.yaml:3:7",
        "a.yaml:3:26: vae.latent must be an integer in 1…65536, not 0",
        "a.yaml:3:29: vae.latent is given twice, first at a.yaml:3:18",
      ])
    #expect(
      problems("vae: {latnt: 1, latnt: 2}") == [
        "a.yaml:1:7: vae.latnt is not a setting; did you mean latent?",
        "a.yaml:1:17: vae.latnt is given twice, first at a.yaml:1:7",
        "a.yaml:1:17: vae.latnt is not a setting; did you mean latent?",
      ])
    #expect(problems("{\"\": 1, \"\": 2}") == ["a.yaml:1:2: a key is given twice"])
    let attack = "{" + String(repeating: "a: 1, ", count: 10_000) + "}"
    #expect(problems(attack) == ["a.yaml:1:14: a key is given twice"])
  }

  // MARK: Values

  @Test(arguments: [
    ("abc", "abc"), ("\"5\"", "\"5\""), ("'5'", "\"5\""), ("5.0", "5.0"), ("1e3", "1e3"),
    ("0", "0"),
    ("-3", "-3"), ("+3", "+3"), ("007", "007"), ("0x10", "0x10"), ("1_000", "1_000"),
    ("65537", "65537"), ("99999999999999999999999", "99999999999999999999999"), ("", "nothing"),
    ("null", "null"), ("~", "~"), ("true", "true"), (".nan", ".nan"), ("[1]", "a list"),
    ("{a: 1}", "a mapping"), ("1 2", "1 2"), ("1\n\n    2", "\"1\\n2\""),
    ("\"\\e[2J\"", "\"\\u{1B}[2J\""), ("٣", "٣"),
    (String(repeating: "1", count: 50), String(repeating: "1", count: 40) + "…"),
  ])
  func integers(value: String, summary: String) {
    let column = value.isEmpty ? 10 : 11  // A value that is not there is after the colon.
    #expect(
      problems("vae:\n  latent: \(value)") == [
        "a.yaml:2:\(column): vae.latent must be an integer in 1…65536, not \(summary)"
      ])
  }

  @Test(arguments: [
    "abc", ".nan", "nan", ".inf", "-.inf", "inf", "infinity", "1e999", "-1e999", "0x1p3", "-0.1",
    "1000.1", "1,5", "1e", "--1", ".", "true",
  ])
  func numbers(value: String) {
    #expect(
      problems("vae: { beta: \(value) }").first?.hasPrefix(
        "a.yaml:1:\(value == "1,5" ? "16: vae.5 is not" : "14: vae.beta must be a number in 0…1000")"
      )
        == true)
  }

  @Test func numbersBelowABound() {
    for value in ["1", "1.0", "-1e-9", "0.99999999999999999999"] {
      #expect(
        problems("training: {vae: {ema: \(value)}}") == [
          "a.yaml:1:23: training.vae.ema must be a number from 0 to less than 1, not \(value)"
        ])
    }
    #expect(problems("training: {vae: {ema: 0.9999999999}}") == [])
    #expect(
      problems("denoiser: {dropout: 1}") == [
        "a.yaml:1:21: denoiser.dropout must be a number from 0 to less than 1, not 1"
      ])
  }

  @Test func otherValues() {
    #expect(
      problems(
        """
        data: {set: null, folder: "a\\nb"}
        vae: {hidden: [1024, 0, "1", [2]], likelihood: Bernoulli}
        diffusion: {condition: yes, clip: "true", schedule: liner}
        denoiser: {features: 127, channels: [32, 12, 1032]}
        training: {vae: {clip: -1}, seed: 18446744073709551616}
        sampling: 5
        """) == [
          "a.yaml:1:13: data.set must be a text, not null",
          "a.yaml:1:27: data.folder must be a text, or null, not \"a\\nb\"",
          "a.yaml:2:22: each of vae.hidden must be an integer in 1…65536, not 0",
          "a.yaml:2:25: each of vae.hidden must be an integer in 1…65536, not \"1\"",
          "a.yaml:2:30: each of vae.hidden must be an integer in 1…65536, not a list",
          "a.yaml:2:48: vae.likelihood must be bernoulli or gaussian, not Bernoulli",
          "a.yaml:3:24: diffusion.condition must be true or false, not yes",
          "a.yaml:3:35: diffusion.clip must be true or false, not \"true\"",
          "a.yaml:3:53: diffusion.schedule must be linear or cosine or sigmoid or ve or sub-vp, "
            + "not liner",
          "a.yaml:4:22: denoiser.features must be an even integer in 2…65536, not 127",
          "a.yaml:4:42: each of denoiser.channels must be a multiple of 8 in 8…1024, not 12",
          "a.yaml:4:46: each of denoiser.channels must be a multiple of 8 in 8…1024, not 1032",
          "a.yaml:5:24: training.vae.clip must be a number in 1e-06…1000000, or null, not -1",
          "a.yaml:5:35: training.seed must be an integer in 0…18446744073709551615, "
            + "not 18446744073709551616",
          "a.yaml:6:11: sampling must be a mapping of settings, not 5",
        ])
    #expect(
      problems("vae: {hidden: 5}\ndata: [1]\nsampling:\ndenoiser: null") == [
        "a.yaml:1:15: vae.hidden must be a list of at most 16 values, not 5",
        "a.yaml:2:7: data must be a mapping of settings, not a list",
        "a.yaml:3:10: sampling must be a mapping of settings, not nothing",
        "a.yaml:4:11: denoiser must be a mapping of settings, not null",
      ])
    let long = "[" + Array(repeating: "1", count: 17).joined(separator: ", ") + "]"
    #expect(
      problems("vae: {hidden: \(long)}") == [
        "a.yaml:1:15: vae.hidden must be a list of at most 16 values, not 17"
      ])
    for (list, count) in [("[]", 0), ("[8, 8, 8, 8, 8, 8]", 6)] {
      #expect(
        problems("denoiser: {channels: \(list)}") == [
          "a.yaml:1:22: denoiser.channels must be a list of 1…5 values, not \(count)"
        ])
    }
    for (text, summary) in [("[]", "a list"), ("5", "5"), ("---", "nothing"), ("null", "null")] {
      #expect(problems(text).count == 1)
      #expect(
        problems(text)[0].hasSuffix(
          ": a configuration must be a mapping of settings, not \(summary)"))
    }
  }

  // MARK: Overrides

  @Test func overrides() {
    #expect(
      problems(
        "vae: {latent: 0}", "vae.latnt=5", "vae.latent", "vae.hidden=[1, 0]", "vae.hidden=[1", "=5",
        "vae..latent=5", "vae.latent=", "vae=5", "vae.latent.size=5", "vae.latent=*a", "sed.x=1 # y"
      ) == [
        "a.yaml:1:15: vae.latent must be an integer in 1…65536, not 0",
        "--set vae.latnt=5: vae.latnt is not a setting; did you mean latent?",
        "--set vae.latent: write it as setting=value",
        "--set vae.hidden=[1, 0]: each of vae.hidden must be an integer in 1…65536, not 0",
        "--set vae.hidden=[1: not YAML: did not find expected ',' or ']' "
          + "while parsing a flow sequence",
        "--set =5: \"\" is not a setting; "
          + "there are data, vae, prior, diffusion, denoiser, consistency, training, sampling",
        "--set vae..latent=5: vae.\"\" is not a setting; there are \(Self.vaeNames)",
        "--set vae.latent=: vae.latent must be an integer in 1…65536, not nothing",
        "--set vae=5: vae must be a mapping of settings, not 5",
        "--set vae.latent.size=5: vae.latent must be an integer in 1…65536, not a mapping",
        "--set vae.latent=*a: aliases are not allowed",
        "--set sed.x=1 # y: sed is not a setting; "
          + "there are data, vae, prior, diffusion, denoiser, consistency, training, sampling",
      ])
  }

  @Test func longOverrides() {
    let deep = String(repeating: "vae.", count: 50_000)
    #expect(problems("", deep + "latent=1").count == 1)
    #expect(problems("", "vae.latent=" + deep).count == 1)
  }

  @Test func everythingAtOnce() throws {
    let text = """
      vae: {latnt: 5, beta: x, beta: 2}
      sampling: {steps: 2000}
      data: {set: &a digits}
      """
    let expected = [
      "a.yaml:1:7: vae.latnt is not a setting; did you mean latent?",
      "a.yaml:1:23: vae.beta must be a number in 0…1000, not x",
      "a.yaml:1:26: vae.beta is given twice, first at a.yaml:1:17",
      "a.yaml:3:13: anchors are not allowed",
      "--set lanes=2: lanes is not a setting; "
        + "there are data, vae, prior, diffusion, denoiser, consistency, training, sampling",
    ]
    #expect(problems(text, "lanes=2") == expected)
    let error = #expect(throws: ConfigurationError.self) {
      try Configuration(yaml: text, name: "a.yaml", overriding: ["lanes=2"])
    }
    #expect(error?.description == expected.joined(separator: "\n"))
  }
}
