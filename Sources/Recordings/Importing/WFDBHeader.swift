import VitalModel

/// The header of a WFDB record (PhysioNet, header(5)): the record line, then one line a signal; `#` begins a comment.
struct WFDBHeader {
  struct Signal: Hashable {
    /// In the header's own folder.
    var file: String
    var format: WFDBFormat
    /// Bytes before the first sample.
    var byteOffset: Int
    /// Steps of the converter in one physical unit.
    var gain: DecimalValue
    /// The step that is physical zero.
    var baseline: Int64
    var unit: String
    var description: String
  }

  /// Why a header cannot be used.
  enum Problem: Error, Hashable {
    /// Several records behind one name.
    case segments
    /// A field cannot be read, or asks for what is not supported; from 1.
    case line(Int)
  }

  /// Bound on signals of one record.
  static let signalsMax = 4096

  private(set) var name = ""
  private(set) var signals: [Signal] = []
  /// Frames; nil: up to the end of the file.
  private(set) var frames: Int?
  /// Nil: the header says none.
  private(set) var start: Int64?
  private var frequency = 250.0

  /// - Parameter lines: with their numbers.
  init(_ lines: [(number: Int, text: String)], epoch: Int64) throws(Problem) {
    let used = lines.filter { !$0.text.hasPrefix("#") && !$0.text.allSatisfy(\.isWhitespace) }
    guard let first = used.first else { throw .line(1) }
    let words = first.text.split(whereSeparator: \.isWhitespace).map(String.init)
    if words[0].contains("/") { throw .segments }
    guard words.count >= 2, let count = Int(words[1]), (1...WFDBHeader.signalsMax).contains(count),
      used.count > count
    else { throw .line(first.number) }
    name = words[0]
    if words.count > 2 {
      let number = words[2].prefix { $0 != "/" && $0 != "(" }
      guard let value = Double(number), value.isFinite, (1e-6...1e6).contains(value) else { throw .line(first.number) }
      frequency = value
    }
    if words.count > 3 {
      guard let value = Int(words[3]), (0...Int(Int32.max)).contains(value) else { throw .line(first.number) }
      frames = value == 0 ? nil : value
    }
    if words.count > 4 {
      guard let value = WFDBHeader.time(words[4], date: words.count > 5 ? words[5] : nil, epoch: epoch) else {
        throw .line(first.number)
      }
      start = value
    }
    for line in used[1...count] {
      guard let signal = WFDBHeader.signal(line.text) else { throw .line(line.number) }
      signals.append(signal)
    }
  }

  /// Milliseconds since the first frame. Below 1 Hz headers round: a period within 0.03 % of whole seconds is meant to be
  /// those (0.0166667 Hz is once a minute).
  func offset(ofFrame frame: Int) -> Int64? {
    var period = 1000 / frequency
    if period >= 1000 {
      let whole = (period / 1000).rounded() * 1000
      if abs(period - whole) / period < 3e-4 { period = whole }
    }
    return Int64(exactly: (Double(frame) * period).rounded())
  }

  /// `file format[xN][:skew][+offset] [gain[(baseline)][/unit] [resolution [zero [first [checksum [block [description]]]]]]]`.
  private static func signal(_ line: String) -> Signal? {
    let words = line.split(maxSplits: 8, whereSeparator: \.isWhitespace).map(String.init)
    guard words.count >= 2, !words[0].contains("/"), words[0] != "..", words[0] != "~" else { return nil }
    let parts = words[1].split(separator: "+", maxSplits: 1)
    // Several samples a frame and skew are for waves; a digit is all that may be there.
    guard let format = parts.first.flatMap({ Int($0) }).flatMap(WFDBFormat.init(rawValue:)) else { return nil }
    let offset = parts.count > 1 ? Int(parts[1]) : 0
    guard let offset, (0...1 << 30).contains(offset) else { return nil }
    let zero = words.count > 4 ? Int64(words[4]) : 0
    guard let zero, abs(zero) < 1 << 32 else { return nil }
    guard let scale = scale(words.count > 2 ? words[2] : "0", zero: zero) else { return nil }
    return Signal(
      file: words[0], format: format, byteOffset: offset, gain: scale.gain, baseline: scale.baseline, unit: scale.unit,
      description: words.count > 8 ? words[8].split(whereSeparator: \.isWhitespace).joined(separator: " ") : "")
  }

  /// A gain of 0 or none is 200 steps a unit, and a baseline not given is the converter's zero.
  private static func scale(_ word: String, zero: Int64) -> (gain: DecimalValue, baseline: Int64, unit: String)? {
    let halves = word.split(separator: "/", maxSplits: 1).map(String.init)
    guard let first = halves.first else { return nil }
    var baseline = zero
    var number = first[...]
    if let open = first.firstIndex(of: "(") {
      guard first.hasSuffix(")"), let given = Int64(first[first.index(after: open)...].dropLast()), abs(given) < 1 << 32
      else { return nil }
      baseline = given
      number = first[..<open]
    }
    guard var gain = DecimalValue(number), gain.mantissa >= 0 else { return nil }
    if gain.mantissa == 0 { gain = DecimalValue(mantissa: 200) }
    return (gain.normalized, baseline, halves.count > 1 ? halves[1] : "")
  }

  /// `hh:mm:ss[.sss]` and `dd/mm/yyyy`, without a zone: they count as UTC. Without a date it is the day of `epoch`.
  private static func time(_ clock: String, date: String?, epoch: Int64) -> Int64? {
    let pieces = clock.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard (1...3).contains(pieces.count) else { return nil }
    func two(_ text: some StringProtocol) -> String { text.count == 1 ? "0" + text : String(text) }
    let padded = Array(repeating: "00", count: 3 - pieces.count) + pieces
    let seconds = padded[2].split(separator: ".", maxSplits: 1).map(String.init)
    guard let whole = seconds.first else { return nil }
    let fraction = seconds.count > 1 ? "." + seconds[1] : ""
    var day = String(Timestamp.format(epoch).prefix(10))
    if let date {
      let numbers = date.split(separator: "/").map(String.init)
      guard numbers.count == 3 else { return nil }
      day = "\(numbers[2])-\(two(numbers[1]))-\(two(numbers[0]))"
    }
    return Timestamp.parse("\(day)T\(two(padded[0])):\(two(padded[1])):\(two(whole))\(fraction)Z")
  }
}
