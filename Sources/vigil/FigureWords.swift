import Statistics
import VitalModel

/// Figures for a terminal, in the same words in every table.
protocol FigureWords {}

extension FigureWords {
  func row(_ title: String, _ figure: Figure?, _ text: (Double) -> String) -> [String] {
    guard let figure else { return [title, "-"] }
    guard let interval = figure.interval else { return [title, text(figure.value), "-", "one patient"] }
    return [title, text(figure.value), "\(text(interval.lower)) to \(text(interval.upper))", method(interval.method)]
  }

  func interval(_ figure: Figure?, _ text: (Double) -> String) -> String {
    guard let figure else { return "-" }
    guard let interval = figure.interval else { return text(figure.value) }
    return "\(text(figure.value)) (\(text(interval.lower)) to \(text(interval.upper)))"
  }

  /// The title of a margin, with how many events it is not about.
  func marginTitle(_ sums: TuningSums) -> String {
    "margin over matched controls" + (unmatchedWords(sums).map { " (\($0))" } ?? "")
  }

  /// nil: every event has controls.
  func unmatchedWords(_ sums: TuningSums) -> String? {
    sums.unmatched > 0 ? "\(sums.unmatched) of \(sums.events) events have none" : nil
  }

  func method(_ method: IntervalMethod) -> String {
    switch method {
    case .wilson: "wilson"
    case .clopperPearson: "exact"
    case .poissonExact: "exact"
    case .patientBootstrap: "bootstrap"
    case .patientBootstrapCorrected: "bootstrap bca"
    }
  }

  /// Per cent with one digit behind the point.
  func share(_ value: Double) -> String {
    DecimalValue(mantissa: Int64((value * 1000).rounded()), exponent: -1).description + " %"
  }

  /// A bound nobody has is said so: 1 ÷ a PPV that may be nothing has none.
  func number(_ value: Double) -> String { value.isFinite ? StatsText.number(value) : "any" }

  func signed(_ value: Double) -> String {
    let text = DecimalValue(mantissa: Int64((value * 1000).rounded()), exponent: -3).description
    return value > 0 ? "+" + text : text
  }

  func small(_ value: Double) -> String {
    guard value.isFinite else { return "any" }
    return DecimalValue(mantissa: Int64((value * 10_000).rounded()), exponent: -4).description
  }

  /// Of milliseconds: hours and minutes, below an hour minutes and seconds; with a minus after the onset.
  func time(_ milliseconds: Double) -> String {
    let seconds = Int64((abs(milliseconds) / 1000).rounded())
    let sign = milliseconds < 0 ? "-" : ""
    if seconds < 60 { return "\(sign)\(seconds) s" }
    if seconds < 3600 { return "\(sign)\(seconds / 60) min" + (seconds % 60 > 0 ? " \(seconds % 60) s" : "") }
    return "\(sign)\(seconds / 3600) h" + (seconds / 60 % 60 > 0 ? " \(seconds / 60 % 60) min" : "")
  }
}
