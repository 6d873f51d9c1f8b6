import Testing
import VitalModel

@testable import RuleTesting

@Suite struct StripTextTests {
  private func strip(_ key: String, source: String = "", tick: Int64 = 1000) -> StripText {
    let code = Bench.registry.code(key) ?? VitalCode(index: 0)
    return StripText(vital: Bench.registry[code], unit: 0, source: source, tick: tick)
  }

  /// `0:97 1:97`, times in seconds.
  private func read(_ text: String, _ key: String = "spo2", source: String = "", tick: Int64 = 1000) -> String {
    do throws(StripText.Mistake) {
      return try strip(key, source: source, tick: tick).read(text).map { sample in
        var text = "\(sample.time / 1000):\(sample.value)"
        if let quality = sample.quality.text { text += "?\(quality)" }
        if sample.status != .ok { text += "!\(sample.status.text)" }
        return text
      }.joined(separator: " ")
    } catch {
      return "\(error.offset): \(error.message)"
    }
  }

  @Test func timesAreWrittenAsPeopleWriteThem() {
    #expect(ClockText.parse("75s") == 75_000)
    #expect(ClockText.parse("1h30m") == 5_400_000)
    for wrong in ["75", "", "s", "1h30", "-5s", "99999999999w"] { #expect(ClockText.parse(wrong) == nil, "\(wrong)") }
    #expect(ClockText.format(75_000) == "75s")
    #expect(ClockText.format(5_400_000) == "1h30m")
    #expect(ClockText.format(250) == "250ms")
  }

  @Test func repeatsGapsJumpsAndMarks() {
    #expect(read("97x2 96") == "0:97 1:97 2:96")
    #expect(read("97 -x2 96") == "0:97 3:96")
    #expect(read("97 - 96") == "0:97 2:96")
    #expect(read("97 @5s 96") == "0:97 5:96")
    #expect(read("97\n96\t95") == "0:97 1:96 2:95")
    #expect(read("85?0.2x2 85!lead-off 84?0.3!artifact") == "0:85?0.2 1:85?0.2 2:85!lead-off 3:84?0.3!artifact")
    #expect(read("97 @2m 96", tick: 60_000) == "0:97 120:96")
    #expect(read("A V", "consciousness") == "0:0 1:2")
    #expect(read("0", "hr", source: "ecg") == "0:0")
    #expect(read("") == "")
  }

  @Test func rampsKeepTheirEndsAndRoundHalfUpToTheGrid() {
    #expect(read("97..94x4") == "0:97 1:96 2:95 3:94")
    #expect(read("90..93x3") == "0:90 1:92 2:93")
    #expect(read("37.0..36.5x3", "temp") == "0:37.0 1:36.8 2:36.5")
  }

  @Test func whatCannotBeReadSaysWhere() {
    #expect(read("97 hello") == "3: `hello` is not a value, such as `97`, `97x60`, `97..85x12`, `-x10` or `@30s`")
    #expect(read("97 101").contains("101 lies outside 1 to 100: it would be quarantined"))
    #expect(read("0", "hr") == "0: hr 0 would be quarantined unless its source is ecg")
    #expect(read("97..90").contains("needs its number of ticks"))
    #expect(read("85?2") == "0: quality `2` must be a number from 0 to 1")
    #expect(read("85!leadoff").contains("unknown sensor state `leadoff`"))
    #expect(read("97x10 @5s 96") == "6: `@5s` goes back, the series is at 10s already")
    #expect(read("@500ms 96") == "0: `@500ms` is not on a tick, ticks are 1s apart")
    #expect(read("97x0").contains("repeats 0 times"))
    #expect(read("97x99999999999999999999").contains("from 1 to"))
    #expect(read("97x600000 97x600000").contains("choose a longer `every`"))
    #expect(read("@50w 97", tick: 604_800_000 * 1000).contains("not on a tick"))
    #expect(read("97x600000", tick: 86_400_000).contains("ten years"))
    #expect(read("X", "consciousness") == "0: `X` is not a value of consciousness (one of A, C, V, P, U)")
    #expect(read("A..Vx3", "consciousness").contains("letters have no values between them"))
  }
}
