import Statistics
import VitalModel

/// How a figure is written.
package enum FigureStyle: Sendable {
  /// Of one: `63.1 %`.
  case share
  /// `1.02`, `12.4`, `310`.
  case number
  /// A difference of shares, with its sign: `+0.150`.
  case signed
  /// A difference of numbers, with its sign: `+0.15`.
  case signedNumber
  /// Of milliseconds: `4 h 10 min`; below zero after the onset.
  case duration

  package func text(_ value: Double) -> String {
    guard value.isFinite else { return "any" }
    switch self {
    case .share: return PageNumbers.fixed(value * 100, 1) + "\u{A0}%"
    case .number: return PageNumbers.number(value)
    case .signed: return (value > 0 ? "+" : "") + PageNumbers.fixed(value, 3)
    case .signedNumber: return (value > 0 ? "+" : "") + PageNumbers.number(value)
    case .duration: return PageNumbers.duration(value)
    }
  }

  /// A figure, or a dash where there is none.
  package func text(_ figure: Figure?) -> String { figure.map { text($0.value) } ?? "–" }

  /// `0.9 % to 1.4 %`; a dash where nothing is known.
  package func interval(_ figure: Figure?) -> String {
    guard let interval = figure?.interval else { return "–" }
    return "\(text(interval.lower)) to \(text(interval.upper))"
  }

  /// `1.02 (0.98 to 1.07)`.
  package func both(_ figure: Figure?) -> String {
    guard let figure else { return "–" }
    return figure.interval == nil ? text(figure.value) : "\(text(figure.value)) (\(interval(figure)))"
  }
}

/// Numbers as text, the same on every machine.
enum PageNumbers {
  /// With so many digits behind the point, rounded half away from zero; minus zero is zero.
  static func fixed(_ value: Double, _ digits: Int) -> String {
    let places = (0..<digits).reduce(1.0) { product, _ in product * 10 }
    let scaled = (value * places).rounded()
    guard scaled.isFinite, abs(scaled) < 1e15 else { return "any" }
    guard digits > 0 else { return "\(Int64(scaled))" }
    let whole = Int64(abs(scaled))
    let unit = Int64(places)
    let rest = String(whole % unit)
    return (scaled < 0 ? "-" : "") + "\(whole / unit)." + String(repeating: "0", count: digits - rest.count) + rest
  }

  /// Three digits that say something: two behind the point below ten, one below a hundred.
  static func number(_ value: Double) -> String { fixed(value, abs(value) < 10 ? 2 : abs(value) < 100 ? 1 : 0) }

  /// Without a fraction where there is none, else with as few digits as name it, at most four.
  static func short(_ value: Double) -> String {
    for digits in 0..<4 {
      let text = fixed(value, digits)
      if let back = Double(text), abs(back - value) <= 1e-9 * max(1, abs(value)) { return text }
    }
    return fixed(value, 4)
  }

  /// A place in a drawing, to a tenth.
  static func place(_ value: Double) -> String {
    let text = fixed(value.isFinite ? value : 0, 1)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// Hours and minutes, below an hour minutes, below a minute seconds.
  static func duration(_ milliseconds: Double) -> String {
    guard milliseconds.isFinite, abs(milliseconds) < 1e15 else { return "any" }
    let seconds = Int64((abs(milliseconds) / 1000).rounded())
    let sign = milliseconds < 0 && seconds > 0 ? "-" : ""
    if seconds < 60 { return "\(sign)\(seconds) s" }
    if seconds < 3600 { return "\(sign)\(seconds / 60) min" + (seconds % 60 > 0 ? " \(seconds % 60) s" : "") }
    return "\(sign)\(seconds / 3600) h" + (seconds / 60 % 60 > 0 ? " \(seconds / 60 % 60) min" : "")
  }

  static func method(_ method: IntervalMethod) -> String {
    switch method {
    case .wilson: "Wilson"
    case .clopperPearson: "exact (Clopper-Pearson)"
    case .poissonExact: "exact (Poisson)"
    case .patientBootstrap: "bootstrap by patient"
    case .patientBootstrapCorrected: "bootstrap by patient, BCa"
    }
  }
}

/// One line of a list of figures.
package struct PageFigure: Sendable {
  package var name: String
  /// nil: not known.
  package var figure: Figure?
  package var style: FigureStyle
  /// Beside it in plain words.
  package var note: String

  package init(_ name: String, _ figure: Figure?, _ style: FigureStyle = .share, note: String = "") {
    self.name = name
    self.figure = figure
    self.style = style
    self.note = note
  }
}

extension PageText {
  mutating func figures(_ caption: String, _ figures: [PageFigure]) {
    guard !figures.isEmpty else { return }
    let hasNotes = figures.contains { !$0.note.isEmpty }
    let rows = figures.map { line in
      [
        line.name, line.style.text(line.figure), line.style.interval(line.figure),
        line.figure?.interval.map { PageNumbers.method($0.method) } ?? "–",
      ] + (hasNotes ? [line.note] : [])
    }
    table(caption, head: ["", "Value", "95 % interval", "Found by"] + (hasNotes ? ["Note"] : []), rows: rows)
  }
}
