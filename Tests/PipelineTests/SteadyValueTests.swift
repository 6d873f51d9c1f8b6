import Testing

/// A steady vital changes no plain value, yet time goes on: what adds up over time must still be judged.
@Suite struct SteadyValueTests {
  private func rule(_ when: String) -> String {
    """
    rule: burden
    title: Burden
    source: test
    priority: low
    parameters:
      limit: { default: 90, min: 80, max: 95, unit: "%" }
    when: \(when)
    clear: { when: "last(spo2) >= 92", for: 10s }
    message: x
    """
  }

  @Test func aLimitFromAParameterIsJudgedAtEverySample() throws {
    let strip = try Strip(rules: rule("time_below(spo2, $limit, 5m) >= 60s")).feed("0..100: spo2=85")
    #expect(strip.transitions == ["60 start burden low"])
  }

  @Test func soIsOneOfSeveralInputs() throws {
    let strip = try Strip(rules: rule("time_below(spo2, $limit, 5m) >= 60s and hr > 50"))
      .feed("0..100: spo2=85 hr=60")
    #expect(strip.transitions == ["60 start burden low"])
  }
}
