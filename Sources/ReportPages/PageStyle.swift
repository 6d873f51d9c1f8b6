/// A colour by what it stands for, as a class of the style sheet. Nothing is told by colour alone.
enum Ink: String, CaseIterable {
  /// What is judged: the front, the chosen setting, alerts.
  case main = "ink-a"
  /// What it is compared with: today's rules, false alerts.
  case other = "ink-b"
  /// Chance.
  case chance = "ink-c"
  /// Axes, and settings that are not on the front.
  case plain = "ink-d"
}

/// Colours of light and dark pages: Okabe and Ito's for drawings (Color Universal Design, 2008), greys for words.
struct Palette {
  var page: String
  var panel: String
  var text: String
  var quiet: String
  var rule: String
  var inks: [Ink: String]

  static let light = Palette(
    page: "#ffffff", panel: "#f4f5f7", text: "#1a1c1f", quiet: "#50565e", rule: "#c4c9d0",
    inks: [.main: "#0072b2", .other: "#d55e00", .chance: "#007a59", .plain: "#6b727b"])
  static let dark = Palette(
    page: "#15181b", panel: "#20242a", text: "#eceef0", quiet: "#b3bac3", rule: "#454c55",
    inks: [.main: "#56b4e9", .other: "#e69f00", .chance: "#2fc79b", .plain: "#959da7"])

  fileprivate var variables: String {
    "--page:\(page);--panel:\(panel);--text:\(text);--quiet:\(quiet);--rule:\(rule);"
      + Ink.allCases.map { "--\($0.rawValue):\(inks[$0] ?? text);" }.joined()
  }
}

/// The style sheet: one column on a phone, drawings side by side where there is room, black on white on paper.
enum PageStyle {
  static let css =
    """
    :root{color-scheme:light dark;\(Palette.light.variables)}
    @media (prefers-color-scheme:dark){:root{\(Palette.dark.variables)}}
    *{box-sizing:border-box}
    html{-webkit-text-size-adjust:100%}
    body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--page);color:var(--text);
    font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
    h1{font-size:1.6rem;line-height:1.2;margin:.2em 0}
    h2{font-size:1.25rem;margin:2em 0 .5em;padding-top:.6em;border-top:1px solid var(--rule)}
    h3,h4{font-size:1rem;margin:.2em 0 .4em}
    p{max-width:46rem;margin:.5em 0}
    .quiet,figcaption,.legend{color:var(--quiet);font-size:.875rem}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,14rem),1fr));gap:.75rem;padding:0;margin:1rem 0;
    list-style:none}
    .tiles li{background:var(--panel);border:1px solid var(--rule);border-radius:.4rem;padding:.7rem .9rem}
    .tiles b{display:block;font-size:1.6rem;line-height:1.2}
    .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem;align-items:start}
    figure{margin:0;min-width:0;background:var(--panel);border:1px solid var(--rule);border-radius:.4rem;padding:.8rem}
    figure svg.chart{display:block;width:100%;max-width:40rem;height:auto;margin:0 auto}
    .legend{list-style:none;margin:.3rem 0;padding:0;display:flex;flex-wrap:wrap;gap:.1rem 1rem}
    svg.key{width:1.5rem;height:1rem;vertical-align:-.15rem}
    details{margin:.5rem 0}
    summary{cursor:pointer;padding:.3rem 0}
    .scroll{overflow-x:auto;max-width:100%;margin:.2rem 0 1rem}
    p.name{margin:.8em 0 0}
    table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}
    th,td{padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top;white-space:nowrap}
    th:first-child,td:first-child{text-align:left;font-weight:500;min-width:9rem;white-space:normal}
    thead th{color:var(--quiet);font-weight:600}
    pre{overflow-x:auto;background:var(--panel);padding:.8rem;border-radius:.4rem;font-size:.8rem}
    a{color:inherit}
    :focus-visible{outline:2px solid var(--ink-a);outline-offset:2px}
    svg text{fill:var(--text);font-size:14px;font-family:inherit}
    svg .small{font-size:13px;fill:var(--quiet)}
    svg .frame{stroke:var(--quiet);stroke-width:1;fill:none}
    svg .grid{stroke:var(--rule);stroke-width:.6;fill:none}
    svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
    svg .thin{stroke-width:1.3}
    svg .dash{stroke-dasharray:6 4}
    svg .area{stroke:none;fill-opacity:.2}
    svg .bar{stroke-width:.5;fill-opacity:.75}
    svg .mark{stroke-width:1.6}
    svg .hollow{fill:var(--page)}
    \(Ink.allCases.map(rules).joined(separator: "\n"))
    @media print{:root{color-scheme:light;\(Palette.light.variables)}
    body{max-width:none;padding:0;font-size:10pt}
    .charts{grid-template-columns:1fr 1fr}
    figure,.tiles li,tr{break-inside:avoid}h2,h3{break-after:avoid}
    details:not([open]){display:none}.scroll{overflow:visible}}
    """

  private static func rules(_ ink: Ink) -> String {
    let name = ink.rawValue
    return """
      svg .\(name){stroke:var(--\(name));fill:var(--\(name))}
      svg .line.\(name){fill:none}
      svg .area.\(name){stroke:none}
      svg .hollow.\(name){fill:var(--page)}
      """
  }
}
