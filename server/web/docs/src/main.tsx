import { render } from "preact";
import "../../admin/src/styles/base.css";
import { startTheme } from "../../admin/src/theme.ts";
import { App } from "./app.tsx";
import "./styles/docs.css";

startTheme();
const place = document.getElementById("app");
if (place) render(<App />, place);
