import { render } from "preact";
import { App } from "./app.tsx";
import { startRouter } from "./router.ts";
import "./styles/base.css";
import "./styles/parts.css";
import { startTheme } from "./theme.ts";

startTheme();
startRouter();
const place = document.getElementById("app");
if (place) render(<App />, place);
