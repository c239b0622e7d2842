/** One button that steps through system, light and dark. */
import { type Theme, useTheme } from "../hooks/useTheme";
import { Button } from "./ui/Button";
import { Icon, type IconName } from "./ui/Icon";

const STEPS: Record<Theme, { icon: IconName; text: string; next: Theme }> = {
  system: { icon: "system", text: "as the system", next: "light" },
  light: { icon: "sun", text: "light", next: "dark" },
  dark: { icon: "moon", text: "dark", next: "system" },
};

export function ThemeToggle() {
  const [theme, setTheme] = useTheme();
  const { icon, text, next } = STEPS[theme];
  const label = `Colours: ${text}. Change to ${STEPS[next].text}`;
  return (
    <Button look="quiet" square aria-label={label} title={label} onClick={() => setTheme(next)}>
      <Icon name={icon} />
    </Button>
  );
}
