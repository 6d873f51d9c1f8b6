import VitalModel
import YAMLText

/// Reads the values of one series by tick.
///
/// Words, one after the other: `97` is one sample, `97x60` sixty, `97..85x12` twelve that ramp from 97 to 85 with both ends
/// (rounded half up to the vital's resolution), `-x10` ten ticks without one, `85?0.2` one of quality 0.2, `85!lead-off` one
/// with a sensor state, `V` a letter of a vital sent as letters; `@30s` goes on at that time.
struct StripText {
  let vital: VitalDefinition
  /// Position in ``VitalDefinition/units`` of the numbers written.
  let unit: Int
  let source: String
  let tick: Int64

  /// Ticks of one series: a week at one a second.
  static let ticksMax = 604_800
  /// Milliseconds of one series: ten years.
  static let lengthMax: Int64 = 315_576_000_000

  /// Why a word cannot be read.
  struct Mistake: Error {
    /// Position of the word in the text, in characters.
    var offset: Int
    var message: String
    var suggestion: String?
  }

  func read(_ text: String) throws(Mistake) -> [TestSample] {
    var samples: [TestSample] = []
    var next: Int64 = 0
    for word in text.split(whereSeparator: \.isWhitespace) {
      do throws(Fault) {
        try read(word, &samples, next: &next)
      } catch {
        let offset = text.distance(from: text.startIndex, to: word.startIndex)
        throw Mistake(offset: offset, message: error.message, suggestion: error.suggestion)
      }
    }
    return samples
  }

  private struct Fault: Error {
    var message: String
    var suggestion: String?
    init(_ message: String, suggestion: String? = nil) {
      self.message = message
      self.suggestion = suggestion
    }
  }

  private func read(_ word: Substring, _ samples: inout [TestSample], next: inout Int64) throws(Fault) {
    if word.hasPrefix("@") {
      guard let time = ClockText.parse(word.dropFirst()) else {
        throw Fault("`\(word)` must be `@` and a time such as `@30s`")
      }
      guard time % tick == 0 else {
        throw Fault("`\(word)` is not on a tick, ticks are \(ClockText.format(tick)) apart")
      }
      guard time >= next * tick else {
        throw Fault("`\(word)` goes back, the series is at \(ClockText.format(next * tick)) already")
      }
      try checkLength(time / tick)
      next = time / tick
      return
    }
    let (body, count) = try Self.repeated(word)
    if body == "-" {
      try checkLength(next + Int64(count))
      next += Int64(count)
      return
    }
    var sample = TestSample(time: 0, value: DecimalValue(mantissa: 0))
    let number = try marks(of: body, &sample)
    let values = try values(number, count: count, word: word)
    try checkLength(next + Int64(values.count))
    for value in values {
      sample.time = next * tick
      sample.value = value
      samples.append(sample)
      next += 1
    }
  }

  private func checkLength(_ ticks: Int64) throws(Fault) {
    guard ticks <= Int64(Self.ticksMax) else {
      throw Fault("a series of more than \(Self.ticksMax) ticks, choose a longer `every`")
    }
    guard ticks * tick <= Self.lengthMax else {
      throw Fault("a series longer than ten years, choose a shorter `every`")
    }
  }

  /// `97x60` as `97` and 60.
  private static func repeated(_ word: Substring) throws(Fault) -> (body: Substring, count: Int) {
    guard let mark = word.lastIndex(of: "x") else { return (word, 1) }
    let digits = word[word.index(after: mark)...]
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return (word, 1) }
    guard let count = Int(digits), (1...ticksMax).contains(count) else {
      throw Fault("`\(word)` repeats \(digits) times, from 1 to \(ticksMax) are possible")
    }
    return (word[..<mark], count)
  }

  /// Takes `?0.2` and `!lead-off` off a word; what is left is the value.
  private func marks(of word: Substring, _ sample: inout TestSample) throws(Fault) -> Substring {
    var rest = word
    if let mark = rest.firstIndex(of: "!") {
      let name = String(rest[rest.index(after: mark)...])
      guard let status = SampleStatus(text: name) else {
        let known = SampleStatus.allCases.map(\.text)
        throw Fault(
          "unknown sensor state `\(name)` (one of \(known.joined(separator: ", ")))",
          suggestion: Suggestion.nearest(name, among: known))
      }
      sample.status = status
      rest = rest[..<mark]
    }
    if let mark = rest.firstIndex(of: "?") {
      let text = rest[rest.index(after: mark)...]
      guard let number = DecimalValue(text), let quality = SampleQuality(number) else {
        throw Fault("quality `\(text)` must be a number from 0 to 1")
      }
      sample.quality = quality
      rest = rest[..<mark]
    }
    return rest
  }

  private func values(_ text: Substring, count: Int, word: Substring) throws(Fault) -> [DecimalValue] {
    guard let dots = text.firstRange(of: "..") else {
      return Array(repeating: try value(text, word: word), count: count)
    }
    let first = try value(text[..<dots.lowerBound], word: word)
    let last = try value(text[dots.upperBound...], word: word)
    guard vital.letters.isEmpty else { throw Fault("`\(word)`: letters have no values between them") }
    guard count >= 2 else { throw Fault("`\(word)` needs its number of ticks, such as `\(text)x12`") }
    return try ramp(first, last, count: count)
  }

  private func ramp(_ first: DecimalValue, _ last: DecimalValue, count: Int) throws(Fault) -> [DecimalValue] {
    let exponent = min(Int(first.exponent), Int(last.exponent), vital.resolutionExponent)
    guard exponent >= -9, let from = first.scaled(toExponent: exponent), let to = last.scaled(toExponent: exponent)
    else { throw Fault("the ends of a ramp may have at most nine digits behind the point") }
    guard abs(to - from).multipliedReportingOverflow(by: Int64(count)).overflow == false else {
      throw Fault("a ramp this long needs ends with fewer digits")
    }
    return (0..<count).map { index in
      if index == 0 { return first }
      if index == count - 1 { return last }
      let exact = DecimalValue.divideHalfUp((to - from) * Int64(index), Int64(count - 1)) + from
      let value = DecimalValue(mantissa: exact, exponent: Int8(exponent))
      return value.scaled(toExponent: vital.resolutionExponent).map { vital.decimal(grid: $0) } ?? value
    }
  }

  /// One value that would reach the rules: what would be quarantined is refused.
  private func value(_ text: Substring, word: Substring) throws(Fault) -> DecimalValue {
    if !vital.letters.isEmpty {
      if let letter = vital.letters.first(where: { $0.text == text }) { return DecimalValue(mantissa: letter.value) }
      let known = vital.letters.map(\.text).joined(separator: ", ")
      if DecimalValue(text) == nil { throw Fault("`\(text)` is not a value of \(vital.key) (one of \(known))") }
    }
    guard let value = DecimalValue(text) else {
      throw Fault("`\(word)` is not a value, such as `97`, `97x60`, `97..85x12`, `-x10` or `@30s`")
    }
    guard let grid = vital.gridValue(value, unitIndex: unit) else { throw Fault("`\(text)` is too large") }
    let canonical = vital.decimal(grid: grid).double
    if canonical < vital.rejectBelow.double || canonical > vital.rejectAbove.double {
      throw Fault(
        "\(vital.key) \(text) lies outside \(vital.rejectBelow) to \(vital.rejectAbove): it would be quarantined, "
          + "never judged")
    }
    if value.mantissa == 0, let allowed = vital.zeroSources, !allowed.contains(source) {
      let hint = allowed.isEmpty ? "from any source" : "unless its source is \(allowed.joined(separator: " or "))"
      throw Fault("\(vital.key) 0 would be quarantined \(hint)")
    }
    return value
  }
}
